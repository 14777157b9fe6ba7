"""What `training/data.py` promises: every source gives the same tensors, and every refusal says what to do."""

import hashlib
import logging
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import datasets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from lgn_training.data import DataError, fingerprint, load_data, load_tests, readers
from lgn_training.data.transforms import rotate, rotation_angles
from PIL import Image

CLASSES = ["cat", "dog"]
TRAINING = Path(readers.__file__).parents[2]


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def grey(value, size=(6, 6)):
    return Image.new("L", size, value)


def png(image):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_table(values=range(20), image="image", label="label", pictures=None):
    """One picture per value, filled with it unless `pictures` are given; the label is its parity."""
    features = Features({image: datasets.Image(), label: ClassLabel(names=CLASSES)})
    pictures = pictures or [grey(value) for value in values]
    return Dataset.from_dict({image: pictures, label: [value % 2 for value in values]}, features=features)


def save_parquet(folder, **tables):
    for split, table in tables.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        table.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return str(folder)


def save_images(folder, values):
    for value in values:
        path = folder / CLASSES[value % 2] / f"{value:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey(value).save(path)
    return str(folder)


def save_image_splits(folder, train, test):
    save_images(folder / "train", train)
    save_images(folder / "test", test)
    return str(folder)


def save_disk(folder, table):
    table.save_to_disk(str(folder))
    return str(folder)


def load(source, seed=0, **options):
    return load_data(str(source), seed=seed, progress=False, **options)


def values(part):
    """Which pictures a part holds, where each is filled with its own value."""
    return part.images[:, 0, 0, 0].tolist()


TRAIN, TEST = range(20), range(20, 30)
WITH_TEST = {
    "parquet folder": lambda folder: save_parquet(folder, train=make_table(TRAIN), test=make_table(TEST)),
    "image folder": lambda folder: save_image_splits(folder, TRAIN, TEST),
    "save_to_disk": lambda folder: save_disk(folder, DatasetDict(train=make_table(TRAIN), test=make_table(TEST))),
}
WITHOUT_TEST = {
    "parquet folder": lambda folder: save_parquet(folder, train=make_table(TRAIN)),
    "parquet file": lambda folder: (
        save_parquet(folder, train=make_table(TRAIN)) + "/data/train-00000-of-00001.parquet"
    ),
    "image folder": lambda folder: save_images(folder, TRAIN),
    "save_to_disk": lambda folder: save_disk(folder, make_table(TRAIN)),
}


@pytest.fixture
def parquet(tmp_path):
    return WITH_TEST["parquet folder"](tmp_path / "set")


class TestSources:
    @pytest.mark.parametrize("form", WITH_TEST)
    def test_every_form_gives_the_same_tensors(self, form, tmp_path):
        loaded = load(WITH_TEST[form](tmp_path / "set"))
        assert loaded.label_names == CLASSES
        assert sorted(values(loaded.train) + values(loaded.validation)) == list(TRAIN)
        assert sorted(values(loaded.test)) == list(TEST)
        for part, count in ((loaded.train, 18), (loaded.validation, 2), (loaded.test, 10)):
            assert part.images.dtype == torch.uint8
            assert part.images.shape == (count, 1, 6, 6)
            assert part.labels.dtype == torch.int64
            assert part.labels.tolist() == [value % 2 for value in values(part)]
            assert torch.equal(part.images, part.images[:, :, :1, :1].expand_as(part.images))

    @pytest.mark.parametrize("form", WITHOUT_TEST)
    def test_a_single_split_has_a_fifth_held_out(self, form, tmp_path, caplog):
        source = WITHOUT_TEST[form](tmp_path / "set")
        with caplog.at_level(logging.INFO):
            loaded = load(source)
        assert "has no test split: 4 of its 20 images are held out" in caplog.text
        assert sorted(values(loaded.train) + values(loaded.validation) + values(loaded.test)) == list(TRAIN)
        assert values(load(source, seed=1).test) == values(loaded.test)

    def test_digits(self):
        first, second = load("digits"), load("digits", seed=1)
        assert [len(part) for part in (first.train, first.validation, first.test)] == [1293, 144, 360]
        assert first.train.images.shape[1:] == (1, 8, 8)
        assert first.train.images.max() == 255
        assert first.label_names == [str(digit) for digit in range(10)]
        assert first.test.labels.bincount().min() >= 34
        assert torch.equal(first.test.images, second.test.images)
        assert not torch.equal(first.validation.images, second.validation.images)

    def test_a_local_path_wins(self, tmp_path, monkeypatch):
        save_images(tmp_path / "digits", TRAIN)
        monkeypatch.chdir(tmp_path)
        assert load("digits").label_names == CLASSES

    @pytest.mark.slow
    def test_two_processes_may_load_at_once(self, parquet, tmp_path):
        script = "import sys; from lgn_training.data import load_data; print(load_data(sys.argv[1], seed=0, progress=False).fingerprint)"
        environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(TRAINING)}
        command = [sys.executable, "-c", script, parquet]
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=120) for process in processes]
        assert [out.strip() for out, _ in outputs] == [load(parquet).fingerprint] * 2, outputs

    def test_the_fingerprint_tells_contents_apart(self, parquet, tmp_path):
        moved = save_disk(tmp_path / "disk", DatasetDict(train=make_table(TRAIN), test=make_table(TEST)))
        changed = save_parquet(tmp_path / "changed", train=make_table(TRAIN), test=make_table(range(21, 31)))
        loaded = load(parquet)
        assert loaded.source == parquet
        assert loaded.fingerprint == load(moved).fingerprint
        assert loaded.fingerprint != load(changed).fingerprint
        assert loaded.fingerprint != load(parquet, seed=1).fingerprint

    def test_a_set_is_indexed_by_a_tensor(self, parquet):
        test = load(parquet).test
        assert values(test[torch.tensor([3, 1])]) == [23, 21]
        assert len(test[test.labels == 0]) == 5


class TestMissingSources:
    @pytest.fixture
    def unreachable(self, monkeypatch):
        def refuse():
            raise OSError("no route to host")

        monkeypatch.setattr(readers, "get_session", refuse)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)

    def test_an_unreachable_hub(self, unreachable):
        with pytest.raises(DataError, match=r"no local path 'ylecun/mnist', and the Hub cannot be reached.*'digits'"):
            load("ylecun/mnist")
        assert not datasets.config.HF_HUB_OFFLINE

    def test_a_set_that_the_hub_does_not_have(self, monkeypatch):
        def not_found(*_):
            raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub.")

        monkeypatch.setattr(datasets, "load_dataset", not_found)
        monkeypatch.setattr(readers, "get_session", Mock())
        with pytest.raises(DataError, match=r"no local path 'a/b', and on the Hub: .*doesn't exist.*a local folder"):
            load("a/b")

    @pytest.mark.parametrize("path", ["./missing", "../missing", "/missing/set", "a/b/c", "rot-mnist:/missing/set"])
    def test_a_path_that_does_not_exist(self, path):
        with pytest.raises(DataError, match=r"there is no file or folder '.*(missing|a/b/c).*'rot-mnist:<"):
            load(path)

    @pytest.mark.parametrize("name", ["", "rot-mnist:"])
    def test_no_name(self, name):
        with pytest.raises(DataError, match="the data set has no name; use a local folder"):
            load(name)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"cannot read data set .*doesn't contain any data files"):
            load(tmp_path)

    def test_a_damaged_file(self, tmp_path):
        (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
        with pytest.raises(DataError, match=r"cannot read data set .*Parquet magic bytes not found") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)

    def test_a_choice_of_configurations(self, tmp_path):
        for name in ("small", "large"):
            make_table().to_parquet(str(tmp_path / f"{name}.parquet"))
        configs = [f"- {{config_name: {name}, data_files: {name}.parquet}}" for name in ("small", "large")]
        (tmp_path / "README.md").write_text("\n".join(["---", "configs:", *configs, "---"]))
        with pytest.raises(DataError, match=r"Config name is missing.*\['small', 'large'\]"):
            load(tmp_path)
        assert load(tmp_path, config_name="large").label_names == CLASSES

    def test_a_split_that_is_missing(self, tmp_path):
        source = save_disk(tmp_path / "set", DatasetDict(fold1=make_table(), fold2=make_table()))
        with pytest.raises(DataError, match=r"one named test: found \['fold1', 'fold2'\]"):
            load(source)


class TestSplits:
    def test_validation_is_cut_from_training_by_seed(self, parquet):
        first, again, other = load(parquet), load(parquet), load(parquet, seed=1)
        assert values(first.validation) == values(again.validation) != values(other.validation)
        assert not set(values(first.train)) & set(values(first.validation))
        assert values(first.test) == values(other.test)

    @pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.0, 0), (0.25, 5)])
    def test_the_fraction_may_be_chosen(self, parquet, fraction, count):
        loaded = load(parquet, train_val_split=fraction)
        assert len(loaded.validation) == len(loaded.validation.labels) == count
        assert len(loaded.train) == 20 - count
        assert loaded.validation.images.shape[1:] == (1, 6, 6)

    @pytest.fixture
    def three_splits(self, tmp_path):
        tables = {"train": make_table(TRAIN), "test": make_table(TEST), "validation": make_table(range(30, 40))}
        return save_parquet(tmp_path / "three", **tables)

    def test_the_sets_own_validation_is_the_default(self, three_splits):
        loaded = load(three_splits)
        assert values(loaded.validation) == list(range(30, 40))
        assert values(loaded.train) == list(TRAIN)
        assert len(load(three_splits, max_test_samples=3).validation) == 3

    def test_a_fraction_replaces_the_sets_own_validation(self, three_splits):
        assert set(values(load(three_splits, train_val_split=0.2).validation)) < set(TRAIN)

    def test_without_a_test_split_validation_is_the_test_set(self, tmp_path):
        loaded = load(save_parquet(tmp_path / "set", train=make_table(TRAIN), validation=make_table(TEST)))
        assert values(loaded.test) == list(TEST)
        assert set(values(loaded.validation)) < set(TRAIN)

    def test_training_images_are_limited_before_validation_is_cut(self, parquet):
        loaded = load(parquet, max_train_samples=10, train_val_split=0.2)
        assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (8, 2, 10)

    def test_a_limit_keeps_a_random_subset_and_all_classes(self, tmp_path):
        loaded = load(save_images(tmp_path / "sorted", range(100)), max_train_samples=20, max_test_samples=8)
        assert set(loaded.train.labels.tolist()) == set(loaded.test.labels.tolist()) == {0, 1}
        source = save_images(tmp_path / "set", range(10))
        assert load(source, max_train_samples=1, train_val_split=0).label_names == CLASSES

    def test_limited_test_images_do_not_depend_on_the_seed(self, parquet):
        options = {"max_train_samples": 10, "max_test_samples": 4}
        first, other = load(parquet, **options), load(parquet, seed=1, **options)
        assert values(first.test) == values(other.test)
        assert values(first.train) != values(other.train)

    def test_a_limit_may_exceed_the_set(self, parquet):
        assert len(load(parquet, max_test_samples=1000).test) == 10

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"train_val_split": 1.0}, "train_val_split must be a fraction, 0 <= train_val_split < 1, not 1.0"),
            ({"train_val_split": -0.1}, "train_val_split must be a fraction"),
            ({"num_channels": 2}, r"num_channels must be 1 \(grey\) or 3 \(RGB\), not 2"),
            ({"image_size": 0}, "image_size must be at least 1, not 0"),
            ({"max_train_samples": 0}, "max_train_samples must be at least 1, not 0"),
            ({"max_test_samples": -1}, "max_test_samples must be at least 1, not -1"),
            ({"max_train_samples": 1, "train_val_split": 0.9}, "leaves 0 images to train on and 10 to test on"),
        ],
    )
    def test_a_wrong_option(self, parquet, option, message):
        with pytest.raises(DataError, match=message):
            load(parquet, **option)


class TestColumns:
    @pytest.mark.parametrize("names", [("img", "label"), ("image", "labels"), ("picture", "kind")])
    def test_they_are_found_by_type(self, tmp_path, names):
        source = save_disk(tmp_path / "set", make_table(TRAIN, *names))
        assert load(source).label_names == CLASSES

    def save_with(self, tmp_path, **columns):
        table = make_table()
        for name, (column, feature) in columns.items():
            table = table.add_column(name, column).cast_column(name, feature)
        return save_disk(tmp_path / "set", table)

    def test_well_known_names_decide_between_several(self, tmp_path):
        coarse = ([0] * 20, ClassLabel(names=["animal"]))
        assert load(self.save_with(tmp_path, coarse_label=coarse)).label_names == CLASSES

    def test_a_column_may_be_given(self, tmp_path):
        coarse = ([0] * 20, ClassLabel(names=["animal"]))
        source = self.save_with(tmp_path, coarse_label=coarse)
        assert load(source, label_column="coarse_label").label_names == ["animal"]
        with pytest.raises(DataError, match=r"has no column 'nope': found \['image', 'label', 'coarse_label'\]"):
            load(source, label_column="nope")
        with pytest.raises(DataError, match=r"has no column 'nope': found"):
            load(source, image_column="nope")
        with pytest.raises(DataError, match=r"column 'label' \(ClassLabel.*\) holds no images"):
            load(source, image_column="label")

    def test_several_columns_need_a_choice(self, tmp_path):
        table = make_table(TRAIN, "left", "kind")
        table = table.add_column("colour", [0] * 20).cast_column("colour", ClassLabel(names=["grey"]))
        source = save_disk(tmp_path / "labels", table)
        with pytest.raises(
            DataError, match=r"several label columns: \['kind', 'colour'\]; name one with `--label_col"
        ):
            load(source)
        assert load(source, needs_labels=False).label_names is None
        features = Features(left=datasets.Image(), right=datasets.Image())
        table = Dataset.from_dict({"left": [grey(0)], "right": [grey(1)]}, features=features)
        source = save_disk(tmp_path / "images", table)
        with pytest.raises(DataError, match=r"several image columns: \['left', 'right'\]; name one with `--image_col"):
            load(source)

    def test_no_images(self, tmp_path):
        source = save_disk(tmp_path / "set", Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}))
        with pytest.raises(DataError, match=r"no image column: found \['text', 'label'\]; .*`--image_column`"):
            load(source)

    def test_no_labels(self, tmp_path):
        source = save_disk(tmp_path / "set", make_table().remove_columns("label"))
        with pytest.raises(
            DataError, match=r"no label column: found \['image'\].*`--task reconstruction`\) needs none"
        ):
            load(source)
        loaded = load(source, needs_labels=False)
        assert loaded.label_names is loaded.train.labels is loaded.test.labels is None
        assert loaded.train[torch.tensor([0])].labels is None

    @pytest.mark.parametrize(
        ("labels", "names"),
        [
            (["b", "a"] * 10, ["a", "b"]),
            ([7, 3] * 10, ["3", "7"]),
            ([True, False] * 10, ["False", "True"]),
        ],
    )
    def test_plain_labels_become_sorted_classes(self, tmp_path, labels, names):
        table = make_table().remove_columns("label").add_column("label", labels)
        loaded = load(save_disk(tmp_path / "set", table))
        assert loaded.label_names == names
        assert loaded.test.labels.tolist() == [1 - value % 2 for value in values(loaded.test)]

    @pytest.mark.parametrize("labels", [[0.5] * 20, [[0, 1]] * 20, [None, "a"] * 10])
    def test_labels_that_are_no_classes(self, tmp_path, labels):
        table = make_table().remove_columns("label").add_column("label", labels)
        with pytest.raises(DataError, match=r"label column 'label' .* must hold one integer or string in every row"):
            load(save_disk(tmp_path / "set", table))

    def test_hidden_test_labels(self, tmp_path):
        hidden = make_table(TEST).remove_columns("label").add_column("label", [-1] * 10)
        tables = DatasetDict(train=make_table(TRAIN), test=hidden.cast_column("label", ClassLabel(names=CLASSES)))
        with pytest.raises(DataError, match=r"split 'test' has rows without a label \(-1\) in column 'label'"):
            load(save_disk(tmp_path / "set", tables))

    def test_splits_that_disagree(self, tmp_path):
        other = make_table(TEST).cast_column("label", ClassLabel(names=CLASSES[::-1]))
        source = save_disk(tmp_path / "a", DatasetDict(train=make_table(TRAIN), test=other))
        with pytest.raises(DataError, match="define the classes of column 'label' differently"):
            load(source)
        unlabelled = make_table(TEST).remove_columns("label")
        source = save_disk(tmp_path / "b", DatasetDict(train=make_table(TRAIN), test=unlabelled))
        with pytest.raises(DataError, match=r"split 'test' of .* has no column 'label': found \['image'\]"):
            load(source)
        assert load(source, needs_labels=False).test.labels is None


class TestDecoding:
    def save(self, tmp_path, *pictures):
        return save_disk(tmp_path / "set", make_table(range(len(pictures)), pictures=list(pictures)))

    def test_pixels_are_those_of_the_picture(self, tmp_path):
        pixels = np.random.default_rng(0).integers(256, size=(10, 5, 5, 3), dtype=np.uint8)
        source = self.save(tmp_path, *map(Image.fromarray, pixels))
        train = load(source, train_val_split=0).train
        originals = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        assert all((originals == image).flatten(1).all(1).sum() == 1 for image in train.images)

    def test_one_colour_picture_makes_the_set_colour(self, tmp_path):
        source = self.save(tmp_path, *[grey(value) for value in range(9)], Image.new("RGB", (6, 6), (9, 1, 2)))
        loaded = load(source, train_val_split=0)
        images = torch.cat([loaded.train.images, loaded.test.images])
        assert sorted(images[:, :, 0, 0].tolist()) == [[v, v, v] for v in range(9)] + [[9, 1, 2]]
        assert load(source, num_channels=1).train.images.shape[1] == 1

    def test_grey_pictures_may_be_asked_for_in_colour(self, parquet):
        images = load(parquet, num_channels=3).train.images
        assert images.shape[1] == 3
        assert torch.equal(images[:, 0], images[:, 2])

    def test_unequal_sizes_need_an_image_size(self, tmp_path):
        source = self.save(tmp_path, *[grey(0)] * 9, grey(0, (7, 7)))
        with pytest.raises(DataError, match=r"of one size: .*\d wide, row \d of split 'train' is .*`--image_size`"):
            load(source)
        assert load(source, image_size=4).train.images.shape[2:] == (4, 4)

    def test_oblong_pictures_need_an_image_size(self, tmp_path):
        source = self.save(tmp_path, *[grey(0, (8, 6))] * 5)
        with pytest.raises(DataError, match=r"must be square and of one size: .* is 8 x 6; resize them"):
            load(source)
        assert load(source, image_size=6).train.images.shape[2:] == (6, 6)

    def test_resizing_is_bilinear(self, tmp_path):
        picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
        image = load(self.save(tmp_path, *[picture] * 5), image_size=4).train.images[0, 0]
        assert np.array_equal(image, picture.resize((4, 4), Image.Resampling.BILINEAR))

    def test_a_photograph_is_turned_upright(self, tmp_path):
        picture = Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6))
        for index in range(5):
            exif = Image.Exif()
            exif[0x0112] = 6  # orientation: turn 90 degrees clockwise to see it upright
            picture.save(tmp_path / f"{index}.png", exif=exif)
        image = load(tmp_path, needs_labels=False).train.images[0, 0]
        assert np.array_equal(image, np.rot90(np.asarray(picture), -1))

    def test_an_unreadable_file_is_named(self, tmp_path):
        source = save_images(tmp_path / "set", TRAIN)
        Path(source, "cat", "004.png").write_bytes(png(grey(4))[:40])
        with pytest.raises(DataError, match=r"row 2 of split 'train' is not a readable image \(.*004\.png\): \w+"):
            load(source)

    def test_unreadable_bytes_are_named(self, tmp_path):
        contents = [png(grey(value)) for value in range(10)]
        contents[7] = b"no picture"
        table = Dataset.from_dict(
            {"image": contents, "label": [0] * 10}, Features(image=Value("binary"), label=Value("int64"))
        )
        with pytest.raises(DataError, match=r"row 7 of split 'train' is not a readable image \(10 bytes\): Unid"):
            load(save_disk(tmp_path / "set", table))

    def test_a_missing_image_is_named(self, tmp_path):
        with pytest.raises(DataError, match="row 3 of split 'train' has no image"):
            load(self.save(tmp_path, grey(0), grey(1), grey(2), None, grey(4)))

    def test_sixteen_bits_are_refused_rather_than_clipped(self, tmp_path):
        deep = Image.fromarray(np.full((6, 6), 40_000, np.uint16))
        with pytest.raises(DataError, match=r"more than 8 bits per channel \(Pillow's mode I;16\)"):
            load(self.save(tmp_path, *[deep] * 5))


class TestRotation:
    def pictures(self, count=8, size=9):
        return torch.from_numpy(np.random.default_rng(0).integers(256, size=(count, 3, size, size), dtype=np.uint8))

    @pytest.mark.parametrize("size", [8, 9, 28])
    @pytest.mark.parametrize("quarters", range(4))
    def test_quarter_turns_are_exact_and_anticlockwise(self, quarters, size):
        images = self.pictures(size=size)
        rotated = rotate(images, torch.full((8,), 90.0 * quarters))
        assert rotated.dtype == torch.uint8
        assert torch.equal(rotated, images.rot90(quarters, (2, 3)))

    def test_it_agrees_with_pillow_inside(self):
        smooth = torch.linspace(0, 6, 20).sin()[:, None] * torch.linspace(1, 5, 20).cos() * 100 + 120
        rotated = rotate(smooth.to(torch.uint8)[None, None], torch.tensor([33.0]))[0, 0]
        expected = Image.fromarray(smooth.to(torch.uint8).numpy()).rotate(33, Image.Resampling.BILINEAR)
        difference = rotated.int() - torch.from_numpy(np.array(expected)).int()
        assert difference[5:-5, 5:-5].abs().max() <= 2

    def test_it_is_torch_s_bilinear_interpolation(self):
        images = torch.randint(256, (40, 3, 13, 13), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        angles = torch.arange(40, dtype=torch.float64) * 9
        cos, sin, zero = torch.cos(angles.deg2rad()), torch.sin(angles.deg2rad()), torch.zeros(40)
        matrices = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
        grid = F.affine_grid(matrices, [40, 3, 13, 13], align_corners=False)
        expected = F.grid_sample(images.double(), grid, align_corners=False)
        assert (rotate(images, angles) - expected).abs().max() < 0.5 + 1e-4

    def test_it_is_the_same_on_every_processor(self):
        """On which `F.affine_grid` and `F.grid_sample` do not agree to the last bit."""
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (2000, 1, 28, 28), generator=generator).to(torch.uint8)
        rotated = rotate(images, rotation_angles(2000, 0))
        assert hashlib.sha256(rotated.numpy().data).hexdigest()[:16] == "f47f59fb8f5ef371"

    def test_outside_is_zero(self):
        rotated = rotate(torch.full((1, 1, 20, 20), 200, dtype=torch.uint8), torch.tensor([45.0]))
        assert rotated[0, 0, 0, 0] == 0
        assert rotated[0, 0, 10, 10] == 200

    def test_each_image_has_its_own_angle_whatever_the_chunks(self):
        images, angles = self.pictures(), torch.linspace(0, 350, 8)
        singly = torch.cat([rotate(images[i : i + 1], angles[i : i + 1]) for i in range(8)])
        assert torch.equal(rotate(images, angles, chunk_size=3), singly)

    def test_angles_are_uniform(self):
        angles = rotation_angles(70_000, 0)
        assert angles.min() >= 0
        assert angles.max() < 360
        counts = torch.histc(angles, 36, 0, 360)
        expected = 70_000 / 36
        assert ((counts - expected) ** 2 / expected).sum() < 66.6  # chi-squared, 35 degrees of freedom, p = 0.001

    @pytest.fixture
    def source(self, tmp_path):
        """62 pictures whose bright corner tells the angle, and whose centre tells which picture it is."""
        corner = np.zeros((9, 9), np.uint8)
        corner[:3, :3] = 255
        pictures = [corner.copy() for _ in range(62)]
        for value, picture in enumerate(pictures):
            picture[4, 4] = 100 + value
        pictures = [Image.fromarray(picture) for picture in pictures]
        tables = {
            "train": make_table(range(50), pictures=pictures[:50]),
            "test": make_table(range(12), pictures=pictures[50:]),
        }
        return save_parquet(tmp_path / "set", **tables)

    def test_the_pool_is_divided_in_the_benchmarks_proportion(self, source):
        loaded = load(f"rot-mnist:{source}")
        sizes = [len(part) for part in (loaded.train, loaded.validation, loaded.test)]
        assert sizes == [10, 2, 50]
        centres = torch.cat([part.images[:, 0, 4, 4] for part in (loaded.train, loaded.validation, loaded.test)])
        assert sorted(centres.tolist()) == list(range(100, 162))

    def test_each_image_is_rotated_by_its_own_angle(self, source):
        loaded, pool = load(f"rot-mnist:{source}"), load(source, train_val_split=0)
        originals = torch.cat([pool.train.images, pool.test.images])
        expected = rotate(originals, rotation_angles(62, 0))
        for part in (loaded.train, loaded.validation, loaded.test):
            assert torch.equal(part.images, expected[part.images[:, 0, 4, 4].long() - 100])
        assert len(expected.flatten(1).unique(dim=0)) == 62

    def test_it_is_the_same_for_every_run_seed(self, source):
        first, again = load(f"rot-mnist:{source}"), load(f"rot-mnist:{source}")
        other, redrawn = load(f"rot-mnist:{source}", seed=1), load(f"rot-mnist:{source}", data_seed=1)
        assert first.fingerprint == again.fingerprint
        assert torch.equal(first.test.images, other.test.images)
        assert not torch.equal(first.test.images, redrawn.test.images)

    def test_it_may_be_limited(self, source):
        loaded = load(f"rot-mnist:{source}", max_train_samples=6, max_test_samples=5)
        assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [5, 1, 5]

    def test_a_single_split_will_do(self):
        loaded = load("rot-mnist:digits", max_test_samples=100)
        assert len(loaded.train) + len(loaded.validation) == round(1797 * 12 / 62)

    def test_any_set_may_be_rotated_and_keeps_its_splits(self, source):
        rotated, upright = load(f"rotated:{source}"), load(source)
        pool = load(source, train_val_split=0)
        expected = rotate(torch.cat([pool.train.images, pool.test.images]), rotation_angles(62, 0))
        for name in ("train", "validation", "test"):
            part, original = getattr(rotated, name), getattr(upright, name)
            assert torch.equal(part.images[:, 0, 4, 4], original.images[:, 0, 4, 4])
            assert torch.equal(part.labels, original.labels)
            assert torch.equal(part.images, expected[part.images[:, 0, 4, 4].long() - 100])

    def test_a_rotated_set_is_the_same_for_every_run_seed(self, source):
        first, other, redrawn = (
            load(f"rotated:{source}", **options) for options in ({}, {"seed": 1}, {"data_seed": 1})
        )
        assert torch.equal(first.test.images, other.test.images)
        assert not torch.equal(first.test.images, redrawn.test.images)

    def test_what_is_held_out_of_a_single_split_is_held_out_rotated(self, tmp_path):
        source = save_images(tmp_path / "set", TRAIN)
        rotated = load(f"rotated:{source}").test.images[:, 0, 3, 3].tolist()
        assert rotated == values(load(source).test)


class TestFurtherTests:
    def test_they_are_the_test_images_of_their_sets(self, parquet, tmp_path):
        other = save_parquet(tmp_path / "other", train=make_table(TRAIN), test=make_table(range(40, 50)))
        tests = load_tests([other, f"rotated:{parquet}"], load(parquet), seed=0, progress=False)
        assert list(tests) == [other, f"rotated:{parquet}"]
        assert values(tests[other]) == list(range(40, 50))
        assert fingerprint(tests[other]) == fingerprint(load(other).test)
        assert fingerprint(tests[f"rotated:{parquet}"]) == fingerprint(load(f"rotated:{parquet}", seed=3).test)

    def test_they_are_limited_and_read_as_the_training_images_are(self, parquet):
        options = {"image_size": 4, "num_channels": 3, "max_test_samples": 3, "seed": 1, "progress": False}
        [images] = load_tests(["rotated:" + parquet], load_data(parquet, **options), **options).values()
        assert images.images.shape == (3, 3, 4, 4)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (
                make_table().cast_column("label", ClassLabel(names=["cat", "cow"])),
                r"has the classes \['cat', 'cow'\], and '.*' \['cat', 'dog'\]: a network can be tested only on",
            ),
            (
                make_table(pictures=[grey(value, (7, 7)) for value in range(20)]),
                r"images of 1 x 7 x 7 \(channels, height, width\), and '.*' of 1 x 6 x 6: .*`--image_size`",
            ),
            (
                make_table(pictures=[Image.new("RGB", (6, 6))] * 20),
                "images of 3 x 6 x 6 .* of 1 x 6 x 6: read both alike with `--num_channels`",
            ),
            (make_table().remove_columns("label"), "has no label column"),
        ],
        ids=["other classes", "other size", "other channels", "no labels"],
    )
    def test_those_that_the_network_cannot_be_tested_on_are_refused(self, parquet, tmp_path, table, message):
        source = save_disk(tmp_path / "other", table)
        with pytest.raises(DataError, match=message):
            load_tests([source], load(parquet), seed=0, progress=False)

    @pytest.mark.parametrize(
        ("trained_on", "test"), [("", "rot-mnist:"), ("rotated:", "rot-mnist:"), ("rot-mnist:", "")]
    )
    def test_no_image_is_tested_on_that_was_trained_on_upright_or_rotated(self, parquet, trained_on, test):
        data = load(trained_on + parquet)
        with pytest.raises(DataError, match=r"tests on images that .* trains on.* can be tested on 'rotated:"):
            load_tests([f"{test}{parquet}/"], data, seed=0, progress=False)


needs_real_data = pytest.mark.skipif("LGN_HF_DATA" not in os.environ, reason="LGN_HF_DATA is not set")


@needs_real_data
class TestRealData:
    def load(self, name, prefix="", **options):
        return load(prefix + str(Path(os.environ["LGN_HF_DATA"], name)), max_train_samples=2000, **options)

    @pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
    def test_the_benchmarks(self, name, shape):
        loaded = self.load(name, max_test_samples=1000)
        assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [1800, 200, 1000]
        assert loaded.train.images.shape[1:] == shape
        assert len(loaded.label_names) == 10
        assert loaded.train.labels.bincount().min() > 100

    def test_rotated_mnist_has_no_preferred_direction(self):
        def asymmetry(loaded):
            mean = loaded.test.images.float().mean(0)
            return (mean - mean.rot90(1, (1, 2))).abs().mean()

        def ink(loaded):
            return loaded.test.images.float().mean().item()

        upright, rotated = (self.load("mnist", prefix, max_test_samples=2000) for prefix in ("", "rot-mnist:"))
        assert asymmetry(rotated) < asymmetry(upright) / 4
        assert ink(rotated) == pytest.approx(ink(upright), rel=0.05)
