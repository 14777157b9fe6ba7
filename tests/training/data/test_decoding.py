"""Pixels are those of the pictures, and pictures that cannot be decoded are named."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Array2D, Dataset, Features, Value
from lgn_training.data import DataError
from PIL import Image

from lgn_hf import LGNImageProcessor
from tests.training.data.data_sets import CLASSES, TRAIN, grey, load, make_table, png, save_disk, save_images


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

    @pytest.mark.parametrize("kind", ["png", "tif", "webp"])
    def test_a_photograph_is_turned_upright(self, kind, tmp_path):
        picture = Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6))
        for index in range(5):
            exif = Image.Exif()
            exif[0x0112] = 6  # orientation: turn 90 degrees clockwise to see it upright
            picture.save(tmp_path / f"{index}.{kind}", exif=exif, **({"lossless": True} if kind == "webp" else {}))
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

    def test_a_column_of_bytes(self, tmp_path):
        features = Features(image=Value("binary"), label=Value("int64"))
        table = Dataset.from_dict({"image": [png(grey(v)) for v in range(10)], "label": [0, 1] * 5}, features=features)
        loaded = load(save_disk(tmp_path / "set", table), train_val_split=0)
        assert loaded.train.images.shape == (8, 1, 6, 6)

    def test_a_missing_image_is_named(self, tmp_path):
        with pytest.raises(DataError, match="row 3 of split 'train' has no image"):
            load(self.save(tmp_path, grey(0), grey(1), grey(2), None, grey(4)))

    def test_grey_pictures_among_colour_ones_are_mentioned(self, tmp_path, caplog):
        source = self.save(tmp_path, *[grey(value) for value in range(9)], Image.new("RGB", (6, 6), (9, 1, 2)))
        with caplog.at_level(logging.INFO):
            load(source)
        assert "9 of 10 images are grey and the others in colour: all are taken as colour images" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.INFO):
            load(source, num_channels=3)
        assert "are grey" not in caplog.text


class TestDepths:
    """Pictures and arrays of more than 8 bits."""

    LEVELS = np.random.default_rng(0).integers(256, size=(10, 6, 6), dtype=np.uint8)

    def load(self, tmp_path, images, **options):
        table = Dataset.from_dict({"image": list(images), "label": [0, 1] * 5})
        return load(save_disk(tmp_path / "set", table), train_val_split=0, **options).train.images

    def expected(self, tmp_path):
        return self.load(tmp_path / "as pictures", map(Image.fromarray, self.LEVELS))

    @pytest.mark.parametrize(
        "images",
        [
            LEVELS,
            LEVELS.astype(np.int64),
            LEVELS.astype(np.int64).tolist(),
            LEVELS * np.uint16(257),
            LEVELS / 255,
            (LEVELS / 255).astype(np.float32),
            [Image.fromarray(image * np.uint16(257)) for image in LEVELS],
            [Image.fromarray(image.astype(np.int32)) for image in LEVELS],
            [Image.fromarray((image / 255).astype(np.float32)) for image in LEVELS],
        ],
        ids=[
            "uint8",
            "int64",
            "lists",
            "uint16",
            "float64",
            "float32",
            "16-bit-picture",
            "32-bit-picture",
            "float-picture",
        ],
    )
    def test_whatever_fits_becomes_8_bits(self, images, tmp_path):
        assert torch.equal(self.load(tmp_path, images), self.expected(tmp_path))

    @pytest.mark.parametrize("axis", [-1, 1], ids=["channels last", "channels first"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64])
    def test_arrays_of_colour_images(self, axis, dtype, tmp_path):
        colour = np.stack([self.LEVELS, self.LEVELS // 2, self.LEVELS // 3], axis).astype(dtype)
        images, expected = self.load(tmp_path, colour), self.expected(tmp_path)
        assert torch.equal(images, torch.cat([expected, expected // 2, expected // 3], 1))

    def test_features_of_arrays(self, tmp_path):
        features = Features(image=Array2D((6, 6), "int32"), label=Value("int64"))
        table = Dataset.from_dict({"image": list(self.LEVELS), "label": [0, 1] * 5}, features=features)
        images = load(save_disk(tmp_path / "set", table), train_val_split=0).train.images
        assert torch.equal(images, self.expected(tmp_path))

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            (
                LEVELS.astype(np.int64) * 16,
                r"row \d of split 'train' has int64 values in .*: allowed are integers in 0..255",
            ),
            (LEVELS.astype(np.float64), "floating-point numbers in 0..1, and others with max_pixel_value"),
            ([Image.fromarray(image.astype(np.int32) * 16) for image in LEVELS], "has int32 values in"),
            (LEVELS.astype(np.int64) - 1, "has int64 values in -1"),
        ],
        ids=["12 bits", "floats up to 255", "32-bit picture", "negative"],
    )
    def test_what_does_not_fit_is_refused(self, images, message, tmp_path):
        with pytest.raises(DataError, match=message):
            self.load(tmp_path, images)

    @pytest.mark.parametrize(
        "images",
        [LEVELS.astype(np.uint16) * 16, LEVELS.astype(np.int64) * 16, LEVELS.astype(np.float64) * 16],
        ids=["uint16", "int64", "float64"],
    )
    def test_the_scale_may_be_given(self, images, tmp_path):
        assert torch.equal(self.load(tmp_path, images, max_pixel_value=16 * 255), self.expected(tmp_path))
        with pytest.raises(DataError, match=r"values in .*: allowed are 0\.\.99 \(max_pixel_value\)"):
            self.load(tmp_path, images, max_pixel_value=99)

    def test_dark_images_of_16_bits_are_mentioned(self, tmp_path, caplog):
        pictures = [Image.fromarray(np.full((6, 6), 4000 + i, np.uint16)) for i in range(10)]
        images = self.load(tmp_path, pictures)
        assert set(images.flatten().tolist()) == {16}
        assert "no value above 4009" in caplog.text
        assert "`--max_pixel_value 4009`" in caplog.text

    @pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
    def test_the_image_processor_does_the_same(self, resize_mode, tmp_path):
        rng = np.random.default_rng(0)
        colour, alpha = (
            rng.integers(256, size=(9, 12, 3), dtype=np.uint8),
            rng.integers(256, size=(9, 12, 4), dtype=np.uint8),
        )
        pictures = [
            Image.fromarray(colour),
            Image.fromarray(colour).quantize(16),
            Image.fromarray(alpha),
            Image.fromarray(colour).convert("CMYK"),
            Image.fromarray(colour[..., 0]),
            Image.fromarray(alpha).convert("LA"),
            Image.fromarray(colour[..., 0] > 99),
            Image.fromarray(colour[..., 0] * np.uint16(16)),
            Image.fromarray(colour[..., 0].astype(np.int32) * 16),
            Image.fromarray(colour[..., 0].astype(np.float32) * 16),
        ]
        for number, picture in enumerate(pictures):
            picture.save(tmp_path / f"{number}.tif")
        options = {"resize_mode": resize_mode, "max_pixel_value": 4095}
        loaded = load(tmp_path, needs_labels=False, image_size=8, num_channels=3, train_val_split=0, **options)
        processor = LGNImageProcessor(8, 3, **options)
        expected = processor([str(tmp_path / f"{number}.tif") for number in range(10)], return_tensors="pt")
        found = processor.pixel_values(torch.cat([loaded.train.images, loaded.test.images]))
        assert sorted(map(bytes, found.numpy())) == sorted(map(bytes, expected.pixel_values.numpy()))


class TestShapes:
    """Pictures that are not square."""

    PICTURE = np.arange(48, dtype=np.uint8).reshape(6, 8)

    def load(self, tmp_path, *pictures, **options):
        source = save_disk(tmp_path / "set", make_table(range(len(pictures)), pictures=list(pictures)))
        return load(source, **options).train.images

    def test_the_middle_may_be_cropped(self, tmp_path):
        images = self.load(tmp_path, *[Image.fromarray(self.PICTURE)] * 5, resize_mode="crop")
        assert np.array_equal(images[0, 0], self.PICTURE[:, 1:7])

    def test_black_may_be_added(self, tmp_path):
        images = self.load(tmp_path, *[Image.fromarray(self.PICTURE)] * 5, resize_mode="pad")
        assert np.array_equal(images[0, 0], np.pad(self.PICTURE, ((1, 1), (0, 0))))

    @pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
    def test_pictures_of_several_sizes_need_an_image_size(self, resize_mode, tmp_path):
        pictures = [grey(99, (8, 6))] * 4 + [grey(99, (9, 12))]
        with pytest.raises(DataError, match=r"`--image_size`, and choose by `--resize_mode`"):
            self.load(tmp_path, *pictures, resize_mode=resize_mode)
        images = self.load(tmp_path, *pictures, resize_mode=resize_mode, image_size=12)
        assert images.shape[2:] == (12, 12)
        assert (images.min() == 0) == (resize_mode == "pad")

    def test_a_wrong_mode(self, parquet):
        with pytest.raises(DataError, match="resize_mode must be one of squash, crop, pad, not 'zoom'"):
            load(parquet, resize_mode="zoom")


class TestSkipping:
    @pytest.fixture
    def damaged(self, tmp_path):
        source = save_images(tmp_path / "set", TRAIN)
        for value in (4, 7):
            Path(source, CLASSES[value % 2], f"{value:03}.png").write_bytes(png(grey(value))[:40])
        return source

    @pytest.mark.parametrize("prefix", ["", "rotated:"])
    def test_unreadable_images_are_left_out_and_named(self, prefix, damaged, caplog):
        loaded = load(prefix + damaged, skip_unreadable=True)
        parts = (loaded.train, loaded.validation, loaded.test)
        centres = [part.images[:, 0, 3, 3].tolist() for part in parts]
        assert sorted(value for centre in centres for value in centre) == [
            value for value in TRAIN if value not in (4, 7)
        ]
        for part, pictures in zip(parts, centres, strict=True):
            assert part.labels.tolist() == [value % 2 for value in pictures]
        assert "2 of 20 images are skipped: row " in caplog.text
        assert "004.png" in caplog.text
        assert "007.png" in caplog.text

    def test_a_stop_names_the_option(self, damaged):
        with pytest.raises(DataError, match=r"is not a readable image .*; `--skip_unreadable` leaves such images out"):
            load(damaged)

    def test_missing_images_too(self, tmp_path, caplog):
        pictures = [None if value in (0, 9, *range(11, 17)) else grey(value) for value in range(20)]
        loaded = load(save_disk(tmp_path / "set", make_table(range(20), pictures=pictures)), skip_unreadable=True)
        assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == 12
        assert "8 of 20 images are skipped" in caplog.text
        assert "has no image; and 3 more" in caplog.text

    def test_something_must_be_left(self, tmp_path):
        source = save_disk(tmp_path / "set", make_table(range(5), pictures=[None] * 5))
        with pytest.raises(DataError, match="leaves 0 images to train on and 0 to test on"):
            load(source, skip_unreadable=True)
