"""Structure scores: how much of a matrix is Toeplitz, circulant, a convolution, skew-symmetric, multi-scale, ...

Each score maps matrices (..., d, d) to values (...) in [0, 1], in float64. It is 1 for matrices
that have the structure exactly, 0 for the zero matrix, and does not depend on the scale of the
matrix. The matrices act on n x n filters, d = n*n: an n x n block of A takes one column of the
filter to another.

Most are shares of energy: ||P(A)||^2 / ||A||^2, where P(A) is the nearest matrix with the structure.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from .matrices import checked, energy_share, filter_size, positive
from .registry import Record, register_score

MIN_LEVEL = 0.1  # least share of energy at each of the two levels of an action that is labelled multi-scale


@register_score(threshold=0.75, label="skew-symmetric", precedence=50)
def skew_symmetry(matrices: Tensor) -> Tensor:
    """The share of energy of the skew-symmetric part, ||(A - A^T)/2||^2 / ||A||^2. About 1/2 for random matrices.

    Example:
        >>> skew_symmetry(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
        tensor(1., dtype=torch.float64)
    """
    matrices = checked(matrices)
    return energy_share(torch.linalg.matrix_norm(matrices - matrices.mT).square() / 4, matrices)


@register_score(label="Toeplitz", precedence=30, special_case_of="block_toeplitz", title="Toeplitz")
def toeplitz(matrices: Tensor) -> Tensor:
    """The share of energy of the nearest Toeplitz matrix, A[i, j] = t[i - j]. Any d will do."""
    return _explained(matrices, "toeplitz")


@register_score(label="convolution", precedence=40, title="block Toeplitz")
def block_toeplitz(matrices: Tensor) -> Tensor:
    """The share of energy of the nearest convolution of the filter with zeros outside.

    Such a matrix is block Toeplitz with Toeplitz n x n blocks: its entry from pixel (k, l) to pixel
    (i, j) is t[i - k, j - l]. Toeplitz matrices are a special case.
    """
    return _explained(matrices, "block_toeplitz")


@register_score(label="circulant", precedence=20, special_case_of="toeplitz")
def circulant(matrices: Tensor) -> Tensor:
    """The share of energy on the diagonal of F A F^-1, with F the d-point DFT (LGN paper, appendix D).

    F is unitary up to scale. So this is the share of the nearest circulant matrix,
    A[i, j] = c[i - j mod d]. Any d will do.

    Example:
        >>> circulant(torch.eye(4).roll(1, 0))
        tensor(1., dtype=torch.float64)
    """
    return _explained(matrices, "circulant")


def _multi_scale_label(record: Record) -> str | None:
    return "multi-scale" if min(record["scale_levels"]) > MIN_LEVEL else None


@register_score(label=_multi_scale_label, precedence=60, title="multi-scale")
def multi_scale(matrices: Tensor) -> Tensor:
    """The share of energy that is left when every n x n block is replaced by its mean.

    It is the sum of the two levels of `scale_levels`.
    """
    return _explained(matrices, "block")


@register_score(label="block-concentrated", precedence=70)
def block_concentration(matrices: Tensor) -> Tensor:
    """How much of the energy lies in few n x n blocks (LGN paper, figure 7): (s - 1/n) / (1 - 1/n).

    s is the share of energy of the n strongest of the n^2 blocks. The score is 0 if all blocks are
    equally strong, and 1 if at most n blocks are not zero.
    """
    matrices = checked(matrices)
    size = filter_size(matrices)
    if size == 1:
        return matrices.new_zeros(matrices.shape[:-2])
    blocks = matrices.unflatten(-1, (size, size)).unflatten(-3, (size, size)).square().sum((-3, -1)).flatten(-2)
    share = energy_share(blocks.topk(size).values.sum(-1), matrices)
    return ((share - 1 / size) / (1 - 1 / size)).clamp(0, 1)


# All matrices of the spectral null have the singular values of the action, and so the same orthogonality.
@register_score(threshold=0.75, label="orthogonal", precedence=80, null="gaussian")
def orthogonality(matrices: Tensor) -> Tensor:
    """1 - min_s ||A - s Q||_F / ||A||_F, with Q = U V^T the polar factor of A = U S V^T.

    One minus the relative distance to the nearest multiple of an orthogonal matrix. About 1/2 for
    Gaussian matrices.
    """
    singular_values = torch.linalg.svdvals(checked(matrices))
    # A - s Q has the singular values |sigma_i - s|, and the best s is their mean.
    residual = (singular_values - singular_values.mean(-1, keepdim=True)).square().mean(-1).sqrt()
    norm = singular_values.square().mean(-1).sqrt()
    return torch.where(norm > 0, 1 - residual / positive(norm), 0.0)


def scale_levels(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of energy at the two scales of section 5.1 of the LGN paper: (..., d, d) to (...) and (...).

    First that of the means of the four quadrants, then what the means of the n x n blocks add to
    it. A quadrant is made of whole blocks: the first ceil(n/2) of n blocks per side are the first
    half. The sign of a quadrant's mean is its "dominant sign signature".
    """
    quadrants, blocks = _explained(matrices, "quadrant"), _explained(matrices, "block")
    return quadrants, (blocks - quadrants).clamp_min(0)


def _explained(matrices: Tensor, kind: str) -> Tensor:
    """The share of energy of the nearest matrix that is constant on each class of entries."""
    matrices = checked(matrices)
    dim = matrices.shape[-1]
    if kind not in ("toeplitz", "circulant"):
        filter_size(matrices)
    classes, counts = (tensor.to(matrices.device) for tensor in _classes(dim, kind))
    sums = matrices.new_zeros(*matrices.shape[:-2], len(counts)).index_add_(-1, classes, matrices.flatten(-2))
    return energy_share((sums.square() / counts).sum(-1), matrices)


@lru_cache(maxsize=32)
def _classes(dim: int, kind: str) -> tuple[Tensor, Tensor]:
    """The class of each entry of a d x d matrix, (d*d,), and the number of entries in each class."""
    size = math.isqrt(dim)
    i, j = torch.meshgrid(torch.arange(dim), torch.arange(dim), indexing="ij")
    row, column = i // size, j // size  # of the block
    half = (size + 1) // 2
    labels = {
        "toeplitz": lambda: i - j,
        "circulant": lambda: (i - j) % dim,
        "block_toeplitz": lambda: (row - column) * 2 * size + i % size - j % size,
        "block": lambda: row * size + column,
        "quadrant": lambda: row // half * 2 + column // half,
    }[kind]()
    _, classes, counts = labels.flatten().unique(return_inverse=True, return_counts=True)
    return classes, counts
