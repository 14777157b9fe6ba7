"""Cyclicity: how nearly some power of an action is the identity, and how far apart its powers stay."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .matrices import checked, distance, positive, unit
from .registry import Record, register_score

MAX_ORDER = 24


def _cyclic_label(record: Record) -> str | None:
    order = record["cyclic_order"]
    return f"cyclic of order {order}" if order > 1 else None


@register_score(label=_cyclic_label, precedence=10)
def cyclicity(matrices: Tensor) -> Tensor:
    """1 - min_q r_q, with r_q of `cyclic_residuals` and q = 1, ..., 24: (..., d, d) to (...).

    The identity is cyclic too, of order 1: see `cyclic_order`.

    Example:
        >>> cyclicity(torch.eye(9).roll(1, 0))
        tensor(1., dtype=torch.float64)
    """
    return 1 - cyclic_residuals(matrices).amin(-1)


def cyclic_residuals(matrices: Tensor, max_order: int = MAX_ORDER) -> Tensor:
    """r_q = min_{c >= 0} ||A^q - c I||_F / ||A^q||_F: how far each power is from a multiple of the identity.

    0 if A^q = c I; 1 if the trace of A^q is not positive. (If A^q = -I, then r_{2q} is 0.)

    Shapes: (..., d, d) to (..., max_order), q = 1 first.
    """
    dim = matrices.shape[-1]

    def residual(power: Tensor) -> Tensor:
        scale = power.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(0)  # the best c
        cosine = dim**0.5 * scale / positive(torch.linalg.matrix_norm(power))  # between A^q and I
        return (1 - cosine.square()).clamp_min(0).sqrt()

    return torch.stack([residual(power) for power in _powers(checked(matrices), max_order)], dim=-1)


def cyclic_order(residuals: Tensor) -> Tensor:
    """The q of the smallest residual, the first if several are equal: (..., max_order) to (...), integers from 1.

    Order 1 means that no power is nearer to a multiple of the identity than A itself.

    Example:
        >>> cyclic_order(cyclic_residuals(torch.eye(9).roll(1, 0)))
        tensor(9)
    """
    best = residuals.amin(-1, keepdim=True)
    return (residuals <= best + 1e-6).int().argmax(-1) + 1


def power_separation(matrices: Tensor, order: int) -> Tensor:
    """How far apart the elements I, A, ..., A^{p-1} of a group of order p stay: the smallest distance of any two.

    The distance is ||B - C||_F / 2 of the elements at unit norm. The separation is 0 if two
    elements are proportional, for instance if the orbit has collapsed to the leading eigenvector.
    It is 0.71 if the nearest two are orthogonal, as for the powers of a cyclic shift. It is 1 for a
    group of order 1.

    Shapes: (..., d, d) to (...).

    Example:
        >>> power_separation(torch.eye(9).roll(1, 0), order=4)
        tensor(0.7071, dtype=torch.float64)
    """
    matrices = checked(matrices)
    if order == 1:
        return matrices.new_ones(matrices.shape[:-2])
    eye = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device).expand_as(matrices)
    elements = torch.stack([eye, *_powers(matrices, order - 1)], dim=-3)
    elements = unit(elements).flatten(-2)
    rows, columns = torch.triu_indices(order, order, offset=1)
    return distance((elements @ elements.mT)[..., rows, columns].amax(-1))


def _powers(matrices: Tensor, count: int) -> Iterator[Tensor]:
    """A, A^2, ..., A^count of A at unit norm, which keeps them from overflowing."""
    first = power = unit(matrices)
    for i in range(count):
        yield power
        if i + 1 < count:
            power = power @ first
