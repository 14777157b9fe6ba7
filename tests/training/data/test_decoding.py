"""Pixels are those of the pictures, and pictures that cannot be decoded are named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Value
from lgn_training.data import DataError
from PIL import Image

from tests.training.data.data_sets import TRAIN, grey, load, make_table, png, save_disk, save_images


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
