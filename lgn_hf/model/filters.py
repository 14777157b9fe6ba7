"""Filters as vectors, and the matrices that act on them.

Equation numbers are those of "Learning Linear Groups in Neural Networks". Filters are n x m and vec is column-major.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .convolutions import is_eager, is_onnx_export


def vec(filters: Tensor) -> Tensor:
    """Stack the columns of each filter (eq. 6): vec(W)[j*n + i] = W[i, j].

    Shapes: (..., n, m) to (..., n*m).

    Example:
        >>> vec(torch.tensor([[1, 2], [3, 4]]))
        tensor([1, 3, 2, 4])
    """
    return filters.transpose(-1, -2).flatten(-2)


def unvec(vectors: Tensor, rows: int) -> Tensor:
    """The inverse of `vec` (eq. 7). Shapes: (..., n*m) to (..., n, m) with n = `rows`."""
    return vectors.unflatten(-1, (-1, rows)).transpose(-1, -2)


def unit_norm(tensor: Tensor, norm: float = 1.0) -> Tensor:
    """Scale each matrix of (..., n, m) to Frobenius norm `norm`; a zero matrix stays zero."""
    tiny = torch.finfo(tensor.dtype).tiny
    return tensor * (norm / torch.linalg.matrix_norm(tensor, keepdim=True).clamp_min(tiny))


def random_unit_norm(like: Tensor, norm: float = 1.0) -> Tensor:
    """Gaussian matrices of Frobenius norm `norm`, shaped like `like`, in float32 at least."""
    return unit_norm(torch.randn_like(like, dtype=torch.promote_types(like.dtype, torch.float32)), norm)


def inverse(matrices: Tensor) -> Tensor:
    """The inverses of (..., d, d), of the same shape.

    On an accelerator and inside graphs, a singular matrix raises no error, and its inverse is infinite or undefined. Checking
    for one would make every step wait for the device, which a CUDA graph does not allow.
    """
    if is_onnx_export():
        return _inverse_by_products(matrices)
    return torch.linalg.inv(matrices) if _can_check(matrices) else torch.linalg.inv_ex(matrices).inverse


def _inverse_by_products(matrices: Tensor, steps: int = 40) -> Tensor:
    """The inverses of (..., d, d) for ONNX, which has no linear solver: Newton's iteration X <- X (2 I - A X).

    It converges for every regular matrix from X = A^T / (|A|_1 |A|_inf). 40 steps are enough for condition numbers up
    to 10^4. ONNX runtimes compute them once, since they depend on nothing but parameters.
    """
    size = matrices.abs()
    scale = size.sum(-2, keepdim=True).amax(-1, keepdim=True) * size.sum(-1, keepdim=True).amax(-2, keepdim=True)
    inverses = matrices.transpose(-1, -2) / scale
    for _ in range(steps):
        inverses = 2 * inverses - inverses @ matrices @ inverses
    return inverses


def solve_right(matrices: Tensor, rows: Tensor) -> Tensor:
    """X with X A = B, for matrices A (..., d, d) and rows B (..., r, d). Singular matrices are treated as by `inverse`."""
    if is_onnx_export():
        return rows @ inverse(matrices)
    if _can_check(matrices):
        return torch.linalg.solve(matrices, rows, left=False)
    return torch.linalg.solve_ex(matrices, rows, left=False).result


def _can_check(matrices: Tensor) -> bool:
    return is_eager() and matrices.device.type == "cpu"


def rotation_matrix(size: int, degrees: float) -> Tensor:
    """The bilinear counter-clockwise rotation of a `size` x `size` filter about its centre, as a matrix on vec(W).

    Output pixel (i, j) reads the filter at the point that the rotation carries to it: a weighted mean of the four
    pixels around that point, zero outside the filter. Multiples of 90 degrees are exact permutations, as in
    `torch.rot90`.

    Returns:
        (d, d), float64.
    """
    # Rounding makes the cosine of 90 degrees 0, not 6e-17, so that points on the pixel grid stay on it.
    cos, sin = (round(f(math.radians(degrees)), 15) for f in (math.cos, math.sin))
    pixels = torch.arange(size, dtype=torch.float64)
    centre = (size - 1) / 2
    y, x = (vec(t) - centre for t in torch.meshgrid(pixels, pixels, indexing="ij"))  # (d,) each, of the output pixel
    source_row = sin * x + cos * y + centre
    source_column = cos * x - sin * y + centre

    def hat(points: Tensor) -> Tensor:
        """Weight of each of the n rows (or columns) at each point: (d, n)."""
        return (1 - (points[:, None] - pixels).abs()).clamp_min(0)

    return vec(hat(source_row)[:, :, None] * hat(source_column)[:, None, :])
