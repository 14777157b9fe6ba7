"""Images and labels are found in their columns, or asked for."""

import datasets
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features
from lgn_training.data import DataError, warn_of_unseen_classes

from tests.training.data.data_sets import (
    CLASSES,
    TEST,
    TRAIN,
    grey,
    load,
    make_table,
    save_disk,
    save_image_splits,
    save_images,
    values,
)


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

    @pytest.mark.parametrize("labels", [[0.5] * 20, [[0, 1]] * 20])
    def test_labels_that_are_no_classes(self, tmp_path, labels):
        table = make_table().remove_columns("label").add_column("label", labels)
        with pytest.raises(DataError, match=r"label column 'label' .* must hold one integer or string in every row"):
            load(save_disk(tmp_path / "set", table))

    def test_missing_labels_are_counted(self, tmp_path):
        table = make_table().remove_columns("label").add_column("label", [None, "a"] * 10)
        with pytest.raises(DataError, match="split 'train' has 10 rows without a label in column 'label'"):
            load(save_disk(tmp_path / "set", table))

    def test_hidden_test_labels(self, tmp_path):
        hidden = make_table(TEST).remove_columns("label").add_column("label", [-1] * 10)
        tables = DatasetDict(train=make_table(TRAIN), test=hidden.cast_column("label", ClassLabel(names=CLASSES)))
        with pytest.raises(DataError, match=r"split 'test' has rows without a label \(-1\) in column 'label'"):
            load(save_disk(tmp_path / "set", tables))

    def test_splits_that_disagree(self, tmp_path):
        other = make_table(TEST).cast_column("label", ClassLabel(names=["cat", "cow"]))
        source = save_disk(tmp_path / "a", DatasetDict(train=make_table(TRAIN), test=other))
        with pytest.raises(DataError, match="define the classes of column 'label' differently"):
            load(source)
        unlabelled = make_table(TEST).remove_columns("label")
        source = save_disk(tmp_path / "b", DatasetDict(train=make_table(TRAIN), test=unlabelled))
        with pytest.raises(DataError, match=r"split 'test' of .* has no column 'label': found \['image'\]"):
            load(source)
        assert load(source, needs_labels=False).test.labels is None


class TestFoldersWithoutClasses:
    def test_a_single_class(self, tmp_path):
        save_images(tmp_path / "set", range(0, 20, 2))
        with pytest.raises(
            DataError, match=r"has no classes: all of its 10 images are in a folder 'cat', and each class"
        ):
            load(tmp_path / "set")
        save_image_splits(tmp_path / "splits", range(0, 20, 2), range(20, 30, 2))
        with pytest.raises(DataError, match=r"has no classes: all of its \d+ images are in a folder 'cat'"):
            load(tmp_path / "splits")

    def test_no_class_folders(self, tmp_path):
        for value in range(5):
            grey(value).save(tmp_path / f"{value}.png")
        with pytest.raises(DataError, match=f"all of its 5 images are in a folder '{tmp_path.name}'"):
            load(tmp_path)

    def test_folders_at_different_depths(self, tmp_path):
        save_images(tmp_path / "set", range(10))
        grey(3).save(tmp_path / "set" / "cover.png")
        with pytest.raises(
            DataError, match=r"and 1 of the 11 images are at another depth than most, such as set/cover.png"
        ):
            load(tmp_path / "set")


class TestUnseenClasses:
    def test_classes_without_training_images_are_named(self, tmp_path, caplog):
        save_image_splits(tmp_path / "set", range(0, 20, 2), range(20, 30))
        loaded = load(tmp_path / "set")
        assert (set(loaded.train.labels.tolist()), set(loaded.test.labels.tolist())) == ({0}, {0, 1})
        warn_of_unseen_classes(loaded)
        assert "has test images, and no training images, of 1 of its 2 classes: dog" in caplog.text

    def test_otherwise_nothing_is_said(self, parquet, caplog):
        warn_of_unseen_classes(load(parquet))
        assert not caplog.text
