"""The symmetries of the pixel grid: the eight maps of an image that carry pixels to pixels.

A filter of n x n pixels and an image of H x W pixels have the same eight. A linear group that consists of them extends
from filters to images, and only such a group makes a convolution network exactly equivariant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..model.filters import unvec, vec

if TYPE_CHECKING:
    from .linear_group import LinearGroup


class ImageMap(NamedTuple):
    """Mirror an image left to right, or not, then turn it counter-clockwise by `turns` times 90 degrees."""

    turns: int = 0
    mirrored: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """Shapes: (..., H, W) to (..., H, W), or to (..., W, H) for odd `turns`.

        Example:
            >>> ImageMap(turns=1)(torch.tensor([[1, 2], [3, 4]]))
            tensor([[2, 4],
                    [1, 3]])
        """
        return torch.rot90(images.flip(-1) if self.mirrored else images, self.turns, (-2, -1))

    def matrix(self, filter_size: int) -> Tensor:
        """The same map on vectorised filters: (d, d), float64, with d = filter_size^2."""
        columns = unvec(torch.eye(filter_size**2, dtype=torch.float64), filter_size)
        return vec(self(columns)).T


IMAGE_MAPS = tuple(ImageMap(turns, mirrored) for mirrored in (False, True) for turns in range(4))


def extends_to_image(group: LinearGroup, tolerance: float = 1e-6) -> list[ImageMap | None]:
    """For each element of a group, the map of images that it extends to, or None.

    Args:
        group: a group that acts on square filters. Others extend by none of their elements but the identity.
        tolerance: largest distance of an element from a symmetry of the grid, relative in Frobenius norm.

    Example:
        >>> from lgn_hf.nn import LinearGroup
        >>> extends_to_image(LinearGroup.rotations(3, order=2))
        [ImageMap(turns=0, mirrored=False), ImageMap(turns=2, mirrored=False)]
    """
    if group.filter_size is None:
        eye = torch.eye(group.dim, dtype=torch.float64)
        maps, matrices = IMAGE_MAPS[:1], eye[None]
    else:
        maps, matrices = IMAGE_MAPS, torch.stack([map_.matrix(group.filter_size) for map_ in IMAGE_MAPS])
    distances = torch.cdist(group.elements.flatten(1), matrices.flatten(1)) / group.dim**0.5
    nearest = distances.argmin(1).tolist()
    return [maps[j] if distances[i, j] <= tolerance else None for i, j in enumerate(nearest)]
