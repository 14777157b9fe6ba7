"""Patches: column-major, without their mean, of norm 1, and never flat."""

import math

import pytest
import torch

from lgn_hf.discovery import patches
from lgn_hf.model.filters import vec


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_a_patch_of_the_whole_image_is_its_columns():
    image = noise(1, 4, 4)
    (row,) = patches(image, 4, 1)
    expected = vec(image[0] - image.mean())
    torch.testing.assert_close(row, expected / expected.norm())


def test_contrast_may_be_kept():
    image = noise(1, 4, 4)
    (row,) = patches(image, 4, 1, normalize_contrast=False)
    torch.testing.assert_close(row, vec(image[0] - image.mean()))


def test_rows_have_mean_0_and_norm_1():
    rows = patches(noise(5, 1, 9, 11), 3, 200)
    assert rows.shape == (200, 9)
    assert rows.dtype == torch.float32
    assert rows.mean(1).abs().max() < 1e-6
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(200))


def test_every_place_is_drawn():
    image = torch.arange(16.0).reshape(1, 4, 4) ** 2
    rows = patches(image, 3, 300, normalize_contrast=False)
    assert len(rows.unique(dim=0)) == 4


def test_flat_patches_are_left_out():
    images = torch.zeros(20, 12, 12)
    images[0, 4:8, 4:8] = noise(4, 4)
    rows = patches(images, 3, 50, normalize_contrast=False)
    assert rows.shape == (50, 9)
    assert rows.norm(dim=1).min() > 0.05


def test_colour_is_averaged_or_kept():
    images = noise(3, 3, 5, 5)
    grey, kept = patches(images, 5, 4), patches(images, 5, 4, grey=False, normalize_contrast=False)
    assert grey.shape == (4, 25)
    assert kept.shape == (4, 75)
    expected = [(vec(image).flatten() - image.mean()) for image in images]
    assert all(any(torch.allclose(row, other, atol=1e-5) for other in expected) for row in kept)


def test_bytes_arrays_and_images_of_different_sizes_are_taken():
    a, b = (255 * noise(3, 8, 9)).byte(), (255 * noise(3, 6, 6, seed=1)).byte()
    assert patches(a.numpy(), 4, 30).shape == (30, 16)
    assert patches([a, b.numpy()], 4, 30).shape == (30, 16)
    assert patches([a[0], b], 4, 30).shape == (30, 16)


def test_a_seed_decides_the_patches():
    images = noise(4, 8, 8)
    first, again, other = (patches(images, 3, 20, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


ERRORS = {
    "size": (lambda: patches(noise(1, 4, 4), 0, 1), "size=0: must be a whole number above 0"),
    "one pixel": (lambda: patches(noise(1, 4, 4), 1, 1), "size=1: a patch of one pixel has no contrast"),
    "count": (lambda: patches(noise(1, 4, 4), 2, 0), "count=0: must be a whole number above 0"),
    "small": (lambda: patches(noise(1, 4, 4), 5, 1), "an image of 4 x 4 pixels: too small for patches of 5"),
    "flat": (lambda: patches(torch.ones(3, 8, 8), 3, 10), "almost all patches of 3 x 3 are flat"),
    "NaN": (lambda: patches(noise(1, 4, 4) * math.nan, 2, 1), "images hold NaN or infinity"),
    "none": (lambda: patches([], 2, 1), "images is empty"),
    "shape": (lambda: patches(noise(4, 4), 2, 1), r"images of shape \(4, 4\): must be \(N, H, W\)"),
    "channels": (
        lambda: patches([noise(1, 4, 4), noise(3, 4, 4)], 2, 1, grey=False),
        r"images have \[1, 3\] channels",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_wrong_arguments_get_one_clear_message(name):
    draw, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        draw()
