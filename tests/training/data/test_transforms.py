"""The order of an epoch and the augmentation of a batch: random, but a function of their seeds alone."""

import pytest
import torch
from lgn_training.data.seeds import epoch_indices
from lgn_training.data.transforms import augment


class TestEpochs:
    def test_an_order_is_a_permutation(self):
        order = epoch_indices(100, seed=0, epoch=0)
        assert order.dtype == torch.int64
        assert order.sort().values.tolist() == list(range(100))

    def test_it_depends_on_seed_and_epoch_alone(self):
        orders = {tuple(epoch_indices(100, seed=s, epoch=e).tolist()) for s in range(3) for e in range(3)}
        assert len(orders) == 9
        before = torch.get_rng_state()
        torch.manual_seed(5)
        first = epoch_indices(100, seed=0, epoch=1)
        torch.manual_seed(6)
        assert torch.equal(first, epoch_indices(100, seed=0, epoch=1))
        torch.set_rng_state(before)


class TestAugmentation:
    def images(self, count=400):
        return torch.arange(1, 1 + 3 * 5 * 5, dtype=torch.uint8).view(1, 3, 5, 5).repeat(count, 1, 1, 1)

    def generator(self):
        return torch.Generator().manual_seed(0)

    def test_without_options_nothing_changes(self):
        assert torch.equal(augment(self.images(), self.generator()), self.images())

    def test_a_flip_mirrors_about_half_of_the_images(self):
        images = self.images()
        flipped = augment(images, self.generator(), random_flip=True)
        same, mirrored = ((flipped == x).flatten(1).all(1) for x in (images, images.flip(-1)))
        assert (same ^ mirrored).all()
        assert 160 < mirrored.sum() < 240

    def test_a_crop_shifts_each_image_by_up_to_the_padding(self):
        images = self.images()
        cropped = augment(images, self.generator(), random_crop=2)
        assert cropped.shape == images.shape
        assert cropped.dtype == torch.uint8
        padded = torch.nn.functional.pad(images[0], [2] * 4)
        windows = padded.unfold(1, 5, 1).unfold(2, 5, 1).permute(1, 2, 0, 3, 4).reshape(25, -1)
        matches = (cropped.flatten(1)[:, None] == windows).all(-1)
        assert (matches.sum(1) == 1).all()
        assert (matches.sum(0) > 0).all()

    def test_it_depends_on_the_generator_alone(self):
        options = {"random_crop": 2, "random_flip": True, "cutout": 2}
        first, again = (augment(self.images(), self.generator(), **options) for _ in range(2))
        assert torch.equal(first, again)

    @pytest.mark.parametrize("side", [2, 3])
    def test_a_square_around_any_pixel_gets_the_mean_colour(self, side):
        images = self.images()
        mean = images.float().mean((2, 3), keepdim=True).to(torch.uint8)
        cut = (augment(images, self.generator(), cutout=side) == mean).all(1) & (images != mean).any(1)
        before, after = side // 2, side - side // 2
        squares = torch.zeros(5, 5, 5, 5, dtype=torch.bool)
        for y in range(5):
            for x in range(5):
                squares[y, x, max(y - before, 0) : y + after, max(x - before, 0) : x + after] = True
        squares &= (images[0] != mean[0]).any(0)
        matches = (cut[:, None] == squares.flatten(0, 1)).flatten(2).all(-1)
        assert (matches.sum(1) == 1).all()
        assert (matches.sum(0) > 0).all()

    @pytest.mark.parametrize("name", ["random_crop", "cutout"])
    def test_a_negative_side(self, name):
        with pytest.raises(ValueError, match=f"{name} must not be negative, not -1"):
            augment(self.images(), self.generator(), **{name: -1})
