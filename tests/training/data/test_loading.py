"""Further test sets, and the real data sets."""

import os
from pathlib import Path

import pytest
from datasets import ClassLabel
from lgn_training.data import DataError, fingerprint, load_data, load_tests
from PIL import Image

from tests.training.data.data_sets import TRAIN, grey, load, make_table, save_disk, save_parquet, values


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

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
    def test_the_benchmarks(self, name, shape):
        loaded = self.load(name, max_test_samples=1000)
        assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [1800, 200, 1000]
        assert loaded.train.images.shape[1:] == shape
        assert len(loaded.label_names) == 10
        assert loaded.train.labels.bincount().min() > 100

    @pytest.mark.slow
    def test_rotated_mnist_has_no_preferred_direction(self):
        def asymmetry(loaded):
            mean = loaded.test.images.float().mean(0)
            return (mean - mean.rot90(1, (1, 2))).abs().mean()

        def ink(loaded):
            return loaded.test.images.float().mean().item()

        upright, rotated = (self.load("mnist", prefix, max_test_samples=2000) for prefix in ("", "rot-mnist:"))
        assert asymmetry(rotated) < asymmetry(upright) / 4
        assert ink(rotated) == pytest.approx(ink(upright), rel=0.05)
