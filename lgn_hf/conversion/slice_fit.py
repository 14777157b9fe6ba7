"""An action for each slice of each orbit by itself, fitted in closed form.

p independent vectors, in any order, are an orbit of some matrix. So these fits are exact, but for slices that are nearly
dependent.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 0.01  # singular value of an orbit, relative to the largest, that counts


def cyclic_bases(filters: Tensor, members: Tensor) -> Tensor:
    """S for A = S P S^-1: its first p columns are the p slices, and the others stand at right angles to them.

    Shapes: filters (N, C, d) and members (K, p) to (K, C, d, d).
    """
    slices = _slices(filters, members)
    order = slices.shape[-1]
    left, values, right = torch.linalg.svd(slices)
    largest = values[..., :1]
    values = torch.where(largest > 0, torch.maximum(values, SMALLEST * largest), torch.ones_like(values))
    orbit = left[..., :order] * values[..., None, :] @ right
    rest = left[..., order:] * values.mean(-1)[..., None, None]
    basis = torch.cat([orbit, rest], dim=-1)
    return basis * (basis.shape[-1] ** 0.5 / torch.linalg.matrix_norm(basis, keepdim=True))


def free_matrices(filters: Tensor, members: Tensor, norm: float) -> Tensor:
    """A that takes each slice to the next, of Frobenius norm `norm` where that is enough.

    It is the smallest such matrix, and a multiple of the identity where that one vanishes. Shapes: as above.
    """
    slices = _slices(filters, members)
    source, target = slices[..., :-1], slices[..., 1:]
    inverse = torch.linalg.pinv(source, rtol=SMALLEST)
    matrix = target @ inverse
    vanishes = torch.eye(slices.shape[-2]) - source @ inverse  # projects onto where it does
    missing = (norm**2 - matrix.square().sum((-2, -1))).clamp_min(0)
    scale = (missing / vanishes.square().sum((-2, -1))).sqrt()
    return matrix + scale[..., None, None] * vanishes


def _slices(filters: Tensor, members: Tensor) -> Tensor:
    """As columns: (K, C, d, p)."""
    return filters[members].permute(0, 2, 3, 1)
