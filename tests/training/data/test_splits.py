"""Splits are divided by seeds, and rotated data sets by their kind."""

import numpy as np
import pytest
import torch
from lgn_training.data import DataError
from lgn_training.data.splits import DIVISIONS
from lgn_training.data.transforms import rotate, rotation_angles
from PIL import Image

from lgn_hf.runs.dataset_name import DATASET_KINDS
from tests.training.data.data_sets import CLASSES, TEST, TRAIN, load, make_table, save_images, save_parquet, values


def test_every_prefix_of_a_data_set_has_a_division():
    assert DIVISIONS.keys() == {"", *(f"{kind}:" for kind in DATASET_KINDS)}


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


class TestRotatedDataSets:
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
