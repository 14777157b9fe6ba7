"""Small patches of images as rows: the data that a dictionary is learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..model.filters import vec

FLAT = 0.1  # a patch of less than this share of a strong patch's contrast is flat
STRONG = 0.99  # the quantile of all patches' contrasts that counts as strong
DRAW = 4096  # the fewest patches that are drawn at once
MOST_DRAWS = 50  # before giving up


def patches(
    images: Any, size: int, count: int, seed: int = 0, *, grey: bool = True, normalize_contrast: bool = True
) -> Tensor:
    """Draw square patches at random places of random images.

    Flat patches are left out, and the mean is subtracted from each patch.

    Args:
        images: (N, H, W) or (N, C, H, W), of any real type, or a sequence of (H, W) and (C, H, W) of different sizes.
        size: n, the side of a patch, pixels.
        count: patches to draw.
        seed: decides which.
        grey: take the mean of the channels. Otherwise each channel is kept, and must be in every image.
        normalize_contrast: scale each patch to norm 1.

    Returns:
        (count, n*n), float32, column-major: row = vec(patch) (eq. 6). With `grey=False`, (count, C*n*n), channel after
        channel.

    Raises:
        ValueError: `images` is empty, an image is smaller than a patch or not finite, or almost all patches are flat.

    Example:
        >>> patches(torch.rand(10, 1, 8, 8), size=5, count=100).shape
        torch.Size([100, 25])
    """
    for name, value in (("size", size), ("count", count)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: must be a whole number above 0")
    if size < 2:
        raise ValueError("size=1: a patch of one pixel has no contrast; must be at least 2")
    planes = _planes(images, size, grey)
    generator = torch.Generator().manual_seed(seed)
    drawn = _draw(planes, size, max(count, DRAW), generator)
    least = FLAT * float(drawn.norm(dim=1).quantile(STRONG))
    kept, found = [], 0
    for _ in range(MOST_DRAWS):
        drawn = drawn[drawn.norm(dim=1) > least]
        kept.append(drawn)
        found += len(drawn)
        if found >= count:
            break
        drawn = _draw(planes, size, max(count, DRAW), generator)
    if found < count:
        raise ValueError(
            f"almost all patches of {size} x {size} are flat: {found} of {MOST_DRAWS * max(count, DRAW)} are not"
        )
    rows = torch.cat(kept)[:count]
    return rows / rows.norm(dim=1, keepdim=True) if normalize_contrast else rows


def _draw(planes: Tensor | list[Tensor], size: int, count: int, generator: torch.Generator) -> Tensor:
    """Patches without their mean, (count, C*n*n)."""
    which = torch.randint(len(planes), (count,), generator=generator)
    place = torch.rand(2, count, generator=generator)
    if isinstance(planes, Tensor):
        height, width = planes.shape[-2:]
        top = (place[0] * (height - size + 1)).long()
        left = (place[1] * (width - size + 1)).long()
        found = planes.unfold(2, size, 1).unfold(3, size, 1)[which, :, top, left]
    else:
        cut = []
        for image, y, x in zip(which.tolist(), *place.tolist(), strict=True):
            plane = planes[image]
            top, left = int(y * (plane.shape[1] - size + 1)), int(x * (plane.shape[2] - size + 1))
            cut.append(plane[:, top : top + size, left : left + size])
        found = torch.stack(cut)
    rows = vec(found.float()).flatten(1)
    return rows - rows.mean(dim=1, keepdim=True)


def _planes(images: Any, size: int, grey: bool) -> Tensor | list[Tensor]:
    """Images as (N, C, H, W), or a list of (C, H, W) if they differ in size."""
    if not isinstance(images, (list, tuple)):
        batch = _tensor(images)
        if batch.ndim not in (3, 4) or not len(batch):
            raise ValueError(f"images of shape {tuple(batch.shape)}: must be (N, H, W) or (N, C, H, W)")
        return _checked(batch[:, None] if batch.ndim == 3 else batch, size, grey)
    planes = []
    for image in map(_tensor, images):
        if image.ndim not in (2, 3):
            raise ValueError(f"an image of shape {tuple(image.shape)}: must be (H, W) or (C, H, W)")
        planes.append(_checked(image[None, None] if image.ndim == 2 else image[None], size, grey)[0])
    if not planes:
        raise ValueError("images is empty: at least one image is needed")
    channels = {len(plane) for plane in planes}
    if len(channels) > 1:
        raise ValueError(f"images have {sorted(channels)} channels: must all have the same, or be taken as grey")
    return torch.stack(planes) if len({plane.shape for plane in planes}) == 1 else planes


def _tensor(images: Any) -> Tensor:
    return images.detach().cpu() if isinstance(images, Tensor) else torch.from_numpy(np.asarray(images))


def _checked(batch: Tensor, size: int, grey: bool) -> Tensor:
    """(N, C, H, W), grey if asked for. Bytes stay bytes if they can, which saves memory."""
    if min(batch.shape[-2:]) < size:
        raise ValueError(f"an image of {batch.shape[-2]} x {batch.shape[-1]} pixels: too small for patches of {size}")
    if batch.is_floating_point() and not batch.isfinite().all():
        raise ValueError("images hold NaN or infinity")
    return batch.float().mean(1, keepdim=True) if grey and batch.shape[1] > 1 else batch
