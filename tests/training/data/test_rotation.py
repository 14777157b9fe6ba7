"""Images are rotated exactly, and alike on every processor."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lgn_training.data.transforms import rotate, rotation_angles
from PIL import Image


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
