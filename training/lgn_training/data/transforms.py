"""What is done to decoded images: random shifts, mirroring and squares cut out, and rotation by an angle of their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lgn_training.data.seeds import seeded_generator


def augment(
    images: Tensor, generator: torch.Generator, *, random_crop: int = 0, random_flip: bool = False, cutout: int = 0
) -> Tensor:
    """Shift and mirror each image at random, and cut a square out of it.

    Args:
        images: (B, C, H, W), uint8.
        generator: source of the random choices.
        random_crop: pixels by which images are shifted at most; 0 for none.
        random_flip: mirror each image left to right with probability 1/2.
        cutout: side of the square, in pixels, that gets the image's mean colour; 0 for none. Its centre is any pixel of
            the image, so a part of it may lie outside (DeVries and Taylor, arXiv:1708.04552).

    Returns:
        (B, C, H, W), uint8.

    Raises:
        ValueError: `random_crop` or `cutout` is negative.
    """
    for name, value in (("random_crop", random_crop), ("cutout", cutout)):
        if value < 0:
            raise ValueError(f"{name} must not be negative, not {value}")
    batch, _, height, width = images.shape
    if random_crop:
        offsets = torch.randint(2 * random_crop + 1, (2, batch, 1), generator=generator, device=generator.device)
        top, left = offsets.to(images.device)
        rows = top + torch.arange(height, device=images.device)
        columns = left + torch.arange(width, device=images.device)
        sample = torch.arange(batch, device=images.device)
        padded = F.pad(images, [random_crop] * 4).permute(0, 2, 3, 1)
        images = padded[sample[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if random_flip:
        flip = torch.rand(batch, 1, 1, 1, generator=generator, device=generator.device) < 0.5
        images = torch.where(flip.to(images.device), images.flip(-1), images)
    if cutout:
        inside = [
            _interval(torch.randint(side, (batch, 1), generator=generator, device=generator.device), cutout, side)
            for side in (height, width)
        ]
        square = (inside[0][:, None, :, None] & inside[1][:, None, None, :]).to(images.device)
        images = torch.where(square, images.float().mean((2, 3), keepdim=True).to(torch.uint8), images)
    return images.contiguous()


def _interval(centres: Tensor, length: int, side: int) -> Tensor:
    """Which of `side` pixels lie in the interval of `length` pixels around each centre: (B, 1) to (B, side), bool."""
    distance = torch.arange(side, device=centres.device) - centres + length // 2
    return (distance >= 0) & (distance < length)


def rotate(images: Tensor, angles: Tensor, *, chunk_size: int = 4096) -> Tensor:
    """Rotate each image about its centre by its own angle; bilinear, with zeros outside.

    Args:
        images: (N, C, S, S), uint8.
        angles: (N,), in degrees, anticlockwise.
        chunk_size: images to rotate at once.

    Returns:
        (N, C, S, S), uint8.
    """
    chunks = zip(images.split(chunk_size), angles.split(chunk_size), strict=True)
    return torch.cat([_rotate_chunk(*chunk) for chunk in chunks]) if len(images) else images


def rotation_angles(num_images: int, data_seed: int) -> Tensor:
    """An angle for each image: (num_images,), float64, uniform in [0, 360) degrees."""
    return 360 * torch.rand(num_images, generator=seeded_generator(data_seed), dtype=torch.float64)


def _rotate_chunk(images: Tensor, angles: Tensor) -> Tensor:
    """Bilinear interpolation, written out.

    `F.affine_grid` and `F.grid_sample` round differently on different processors, so that the same data set would differ.
    """
    size = images.shape[-1]
    cos, sin = (f(torch.deg2rad(angles)).float()[:, None, None] for f in (torch.cos, torch.sin))
    position = torch.arange(size)
    x = _multiply_add(torch.tensor(2.0) / max(size - 1, 1), position, torch.tensor(-1.0))
    x = torch.where(position < size // 2, x, -x.flip(0)) * (size - 1) / size  # positions of pixels, from the centre
    y = x[:, None]
    column, row = (
        _multiply_add(at + 1, torch.tensor(size / 2), torch.tensor(-0.5))
        for at in (_multiply_add(-sin, y, cos * x), _multiply_add(cos, y, sin * x))
    )
    left, top = column.floor(), row.floor()
    right_share, lower_share = column - left, row - top
    # A margin of one pixel is enough: all beyond it is zero, too.
    padded = F.pad(images.float(), [1] * 4).flatten(2)
    rotated = torch.zeros(images.shape)
    for down, share in enumerate((1 - lower_share, lower_share)):
        for right, part in enumerate((1 - right_share, right_share)):
            at = [(start + 1 + step).clamp(0, size + 1).long() for start, step in ((top, down), (left, right))]
            index = (at[0] * (size + 2) + at[1]).flatten(1)[:, None].expand(-1, images.shape[1], -1)
            neighbour = padded.gather(2, index).view(images.shape)
            rotated = _multiply_add((share * part)[:, None], neighbour, rotated)
    return rotated.round().to(torch.uint8)


def _multiply_add(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a * b + c of float32, rounded once, whether or not the processor has an instruction for it."""
    return (a.double() * b.double() + c.double()).float()
