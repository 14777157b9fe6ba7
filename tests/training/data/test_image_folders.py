"""Folders of images are read whole, whatever their files, classes and splits are called."""

import os
from typing import ClassVar

import datasets
import pytest
from datasets import Image as ImageFeature
from lgn_training.data import readers
from PIL import Image

from tests.training.data.data_sets import CLASSES, TEST, TRAIN, grey, load, save_image_splits, save_images, values


def save(folder, *classes, count=5, name="{}.png"):
    for label, each in enumerate(classes):
        (folder / each).mkdir(parents=True)
        for i in range(count):
            grey(10 * label + i).save(folder / each / name.format(i))
    return folder


def every(loaded):
    """The class of each image, by its value."""
    parts = (loaded.train, loaded.validation, loaded.test)
    pairs = [pair for part in parts for pair in zip(values(part), part.labels.tolist(), strict=True)]
    return {value: loaded.label_names[label] for value, label in pairs}


def rows(tables):
    """Paths and labels of each split."""
    return {
        str(split): [
            (row["image"]["path"], row["label"])
            for row in table.cast_column("image", ImageFeature(decode=False)).with_format(None)
        ]
        for split, table in tables.items()
    }


@pytest.mark.parametrize("save", [save_images, lambda folder, numbers: save_image_splits(folder, numbers, TEST)])
def test_ordinary_folders_are_read_as_by_datasets(save, tmp_path):
    """In the same order too, which decides what is held out."""
    source = save(tmp_path / "set", range(12))
    assert rows(readers.read_tables(source, None, 0)) == rows(datasets.load_dataset(source))


class TestNames:
    """https://github.com/pytorch/vision/issues/714: folders named 1 to 100."""

    def test_numbers_are_sorted_as_numbers(self, tmp_path):
        loaded = load(save(tmp_path / "set", *map(str, range(1, 13)), count=3))
        assert loaded.label_names == [str(number) for number in range(1, 13)]
        assert len(every(loaded)) == 36

    @pytest.mark.parametrize("classes", [["car", "plane", "train"], ["control", "test"], ["dev", "train"]])
    def test_a_class_may_be_called_like_a_split(self, classes, tmp_path):
        loaded = load(save(tmp_path / "set", "a", *classes))
        assert loaded.label_names == ["a", *classes]
        assert len(every(loaded)) == 5 + 5 * len(classes)

    def test_a_file_may_be_called_like_a_split(self, tmp_path):
        save(tmp_path / "set", *CLASSES)
        for name in ("cat", "dog"):
            grey(100 + len(name)).save(tmp_path / "set" / name / "test_1.png")
        assert len(every(load(tmp_path / "set"))) == 11

    @pytest.mark.parametrize("name", ["my [set] *", "Bilder für Ä", "a b"])
    def test_folders_may_have_any_name(self, name, tmp_path):
        loaded = load(save(tmp_path / name, "x*y", "a [b] {c}", "große Katze"))
        assert loaded.label_names == ["a [b] {c}", "große Katze", "x*y"]
        assert len(every(loaded)) == 15

    @pytest.mark.parametrize("ending", ["PNG", "JPG", "Jpeg", "BMP", "tif", "webp", "gif"])
    def test_endings_of_any_case(self, ending, tmp_path):
        assert len(load(save(tmp_path / "set", *CLASSES, name="{}." + ending)).train) == 7


class TestSplits:
    @pytest.mark.parametrize(
        "names", [("train", "test"), ("Train", "Test"), ("seg_train", "seg_test"), ("training_set", "test_set")]
    )
    @pytest.mark.parametrize("around", ["", "archive", "archive/archive"])
    def test_their_folders_may_be_called(self, names, around, tmp_path):
        for name, numbers in zip(names, (TRAIN, TEST), strict=True):
            save_images(tmp_path / "set" / around / name, numbers)
        loaded = load(tmp_path / "set")
        assert values(loaded.test) == sorted(TEST, key=lambda n: (n % 2, n))
        assert loaded.label_names == CLASSES

    def test_other_folders_are_left_out_with_a_word(self, tmp_path, caplog):
        save_image_splits(tmp_path / "set", TRAIN, TEST)
        save(tmp_path / "set", "pictures of the team")
        assert len(load(tmp_path / "set").test) == 10
        assert "is divided into test, train: what else it holds is left out: pictures of the team" in caplog.text


class TestOtherFiles:
    def test_hidden_files_are_left_out(self, tmp_path, caplog):
        save(tmp_path / "set", *CLASSES)
        for place in ("cat", "dog", "."):
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.png", "notes.txt"):
                (tmp_path / "set" / place / name).write_bytes(b"x")
        for place in (".ipynb_checkpoints", "cat/.ipynb_checkpoints", "__MACOSX/cat"):
            (tmp_path / "set" / place).mkdir(parents=True)
            grey(99).save(tmp_path / "set" / place / "1.png")
        assert len(every(load(tmp_path / "set"))) == 10
        assert not caplog.text

    def test_files_that_are_not_read_and_empty_folders_are_mentioned(self, tmp_path, caplog):
        save(tmp_path / "set", *CLASSES)
        for place in ("bird", "cow", "cat"):
            (tmp_path / "set" / place).mkdir(exist_ok=True)
        for place in ("bird", "cat"):
            (tmp_path / "set" / place / "1.heic").write_bytes(b"x")
        assert load(tmp_path / "set").label_names == CLASSES
        assert "holds files that are not read as images: 2 .heic" in caplog.text
        assert "has folders without images, which are not classes: bird, cow" in caplog.text

    def test_links_are_followed(self, tmp_path):
        save(tmp_path / "elsewhere", *CLASSES)
        (tmp_path / "set").mkdir()
        for name in CLASSES:
            os.symlink(tmp_path / "elsewhere" / name, tmp_path / "set" / name)
        os.symlink(tmp_path / "set", tmp_path / "elsewhere" / "cat" / "loop")
        assert len(every(load(tmp_path / "set"))) == 10


class TestMetadata:
    """https://github.com/huggingface/datasets/issues/4621: labels from metadata.csv or metadata.jsonl."""

    LINES: ClassVar = {
        "metadata.csv": ("file_name,label\n", "{},{}\n"),
        "metadata.jsonl": ("", '{{"file_name": "{}", "label": "{}"}}\n'),
    }

    def save(self, folder, file, numbers, prefix=""):
        start, line = self.LINES[file]
        for n in numbers:
            (folder / prefix).mkdir(parents=True, exist_ok=True)
            grey(n).save(folder / prefix / f"{n}.png")
        lines = [line.format(f"{prefix}{n}.png", CLASSES[n % 2]) for n in numbers]
        old = (folder / file).read_text() if (folder / file).exists() else start
        (folder / file).write_text(old + "".join(lines))

    def assert_right(self, loaded, count):
        assert loaded.label_names == CLASSES
        assert every(loaded) == {n: CLASSES[n % 2] for n in range(count)}

    @pytest.mark.parametrize("file", LINES)
    def test_of_a_folder(self, file, tmp_path):
        self.save(tmp_path / "set", file, TRAIN)
        self.assert_right(load(tmp_path / "set"), 20)

    @pytest.mark.parametrize("file", LINES)
    def test_of_each_split(self, file, tmp_path):
        self.save(tmp_path / "set" / "train", file, TRAIN)
        self.save(tmp_path / "set" / "test", file, TEST)
        loaded = load(tmp_path / "set")
        assert values(loaded.test) == list(TEST)
        self.assert_right(loaded, 30)

    @pytest.mark.parametrize("file", LINES)
    def test_of_all_splits_in_one_file(self, file, tmp_path):
        self.save(tmp_path / "set", file, TRAIN, "train/")
        self.save(tmp_path / "set", file, TEST, "test/")
        loaded = load(tmp_path / "set")
        assert values(loaded.test) == list(TEST)
        self.assert_right(loaded, 30)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK", "1", "YCbCr"])
def test_pictures_of_any_mode(mode, tmp_path):
    for number in range(10):
        (tmp_path / CLASSES[number % 2]).mkdir(exist_ok=True)
        kind = "jpg" if mode in ("CMYK", "YCbCr") else "png"
        Image.new("L", (6, 6), 255).convert(mode).save(tmp_path / CLASSES[number % 2] / f"{number}.{kind}")
    assert set(load(tmp_path).train.images.flatten().tolist()) == {255}
