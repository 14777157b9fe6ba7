"""What every diagnostic needs of d x d matrices: checks, norms, shares of energy, distances.

The energy of a matrix is its squared Frobenius norm, ||A||^2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def checked(matrices: Tensor) -> Tensor:
    """The matrices in float64, detached. Shapes: (..., d, d) to (..., d, d).

    Raises:
        ValueError: the matrices are not square, or hold NaN or infinity.
    """
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2] or not matrices.shape[-1]:
        raise ValueError(f"actions are square matrices (..., d, d), got {shape_text(matrices)}")
    matrices = matrices.detach().to(torch.float64)
    if not (torch.stack(matrices.aminmax()) if matrices.numel() else matrices).isfinite().all():
        raise ValueError("actions hold NaN or infinity")
    return matrices


def checked_batch(matrices: Tensor, size: int) -> Tensor:
    """The matrices in float64, detached. Shapes: (N, d, d) to (N, d, d) with d = `size`^2.

    Raises:
        ValueError: the shape is another, or the matrices hold NaN or infinity.
    """
    if matrices.ndim != 3 or matrices.shape[-1] != size**2:
        raise ValueError(f"size={size}: actions are (N, {size**2}, {size**2}), got {shape_text(matrices)}")
    return checked(matrices)


def filter_size(matrices: Tensor) -> int:
    """n, the side of the filters that d x d matrices with d = n*n act on.

    Raises:
        ValueError: d is not a square.
    """
    dim = matrices.shape[-1]
    size = math.isqrt(dim)
    if size**2 != dim:
        raise ValueError(f"actions on n x n filters have d = n*n rows, got {shape_text(matrices)}")
    return size


def shape_text(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def positive(norm: Tensor) -> Tensor:
    """The norm, or the smallest positive number in place of 0, to divide by."""
    return norm.clamp_min(torch.finfo(norm.dtype).tiny)


def unit(matrices: Tensor) -> Tensor:
    """A / ||A||_F; a zero matrix stays zero. Shapes: (..., d, d) to (..., d, d)."""
    return matrices / positive(torch.linalg.matrix_norm(matrices, keepdim=True))


def energy_share(part: Tensor, matrices: Tensor) -> Tensor:
    """The energy `part` of a part of A, divided by ||A||^2; 0 for a zero matrix. Shapes: (...), (..., d, d) to (...)."""
    return (part / positive(torch.linalg.matrix_norm(matrices).square())).clamp_max(1)


def distance(cosines: Tensor) -> Tensor:
    """||A - B||_F / 2 of matrices of unit norm, from the cosine <A, B> between them.

    0 for equal matrices, 0.71 for orthogonal ones, 1 for opposite ones.
    """
    return ((1 - cosines) / 2).clamp_min(0).sqrt()
