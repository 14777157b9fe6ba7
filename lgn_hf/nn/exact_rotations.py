"""Rotations of pixels by any angle that form a group exactly.

Bilinear rotations by 60 degrees do not: interpolation loses what the corners hold. Here a filter is a sum of patterns
that have an angular frequency m each, as in a circular Fourier series, and a rotation by t turns frequency m by m t.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..model.filters import rotation_matrix, vec

INDEPENDENT = 1e-6  # part of a pattern that others must leave for it to count


def exact_rotation(filter_size: int, order: int) -> Tensor:
    """A rotation by 360 / `order` degrees whose power `order` is the identity: (d, d), float64, orthogonal.

    Multiples of 90 degrees are permutations of the pixels. Where `order` is a multiple of 4, the power that rotates by
    90 degrees is such a permutation too, unless `order` is a multiple of 8 and `filter_size` is even. Such filters
    have patterns like the checkerboard of 2 x 2 pixels: a rotation by 90 degrees changes its sign, and nothing that
    agrees with mirrors does half of that.
    """
    if 360 % order == 0 and 360 // order % 90 == 0:
        return rotation_matrix(filter_size, 360 / order)
    patterns, frequencies = angular_patterns(filter_size)
    rotation = torch.zeros(filter_size**2, filter_size**2, dtype=torch.float64)
    i = 0
    while i < len(frequencies):
        frequency = frequencies[i]
        if frequency is None:  # a single pattern can only keep or change its sign
            rotation[i, i] = 1 if order % 2 else -1
        elif frequency == 0:
            rotation[i, i] = 1
        else:
            cos, sin = (f(frequency * 2 * math.pi / order) for f in (math.cos, math.sin))
            rotation[i : i + 2, i : i + 2] = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
            i += 1
        i += 1
    return patterns @ rotation @ patterns.T


def angular_patterns(filter_size: int) -> tuple[Tensor, list[int | None]]:
    """An orthonormal basis of filters, each of one angular frequency.

    The patterns are Re and Im of r^k exp(i m t) at the pixels, polynomials of degree k, orthogonalised in the order of
    their degree. Symmetries of the grid carry each pair to itself.

    Returns:
        The patterns as columns, (d, d), and the frequency of each: two patterns in a row for m > 0, one for m = 0.
        None is for a pattern that changes its sign by 90 degrees and whose partner is nothing new at the pixels.
    """
    pixels = torch.arange(filter_size, dtype=torch.float64) - (filter_size - 1) / 2
    down, right = (vec(t) for t in torch.meshgrid(pixels, pixels, indexing="ij"))
    radius, angle = torch.hypot(down, right), torch.atan2(-down, right)
    radius = radius / radius.max()
    basis = torch.empty(filter_size**2, 0, dtype=torch.float64)
    frequencies: list[int | None] = []
    for degree in range(4 * filter_size):
        for frequency in range(degree % 2, degree + 1, 2):
            waves = [torch.cos(frequency * angle), torch.sin(frequency * angle)][: 2 if frequency else 1]
            fresh = [_residual(radius**degree * wave, basis) for wave in waves]
            fresh = [pattern for pattern in fresh if pattern is not None]
            for pattern in fresh:
                basis = torch.cat([basis, pattern[:, None]], dim=1)
            if len(fresh) < len(waves) and frequency % 4 == 0:
                frequency = 0  # a single pattern that a rotation by 90 degrees keeps
            elif len(fresh) < len(waves):
                frequency = None
            frequencies += [frequency] * len(fresh)
    return basis, frequencies


def _residual(pattern: Tensor, basis: Tensor) -> Tensor | None:
    """What a basis leaves of a pattern, scaled to norm 1; None where that is nothing."""
    if pattern.norm() < INDEPENDENT:
        return None
    pattern = pattern / pattern.norm()
    once = pattern - basis @ (basis.T @ pattern)
    if once.norm() < INDEPENDENT:
        return None
    once = once / once.norm()
    twice = once - basis @ (basis.T @ once)  # again, for the rounding of the first
    return twice / twice.norm()
