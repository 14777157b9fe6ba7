"""Planted symmetries: random points with a known group, to measure what a search finds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..nn import LinearGroup


def cyclic_table(order: int) -> Tensor:
    index = torch.arange(order)
    return (index[:, None] + index[None, :]) % order


def plant(
    table: Tensor, dim: int, num_points: int, noise: float, generator: torch.Generator, spread: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Random points that a group permutes.

    The group acts by copies of its regular representation on blocks of |G| coordinates and keeps the others, in
    a random basis: A = S P S^-1.

    Args:
        table: (|G|, |G|), the Cayley table, identity first.
        num_points: rounded up to whole orbits.
        noise: norm of the noise of each point, as a share of the point's norm.
        spread: condition number of S; 1 makes the actions orthogonal.

    Returns:
        Points (N, d) in random order, and the actions (|G|, d, d).
    """
    order = len(table)
    if order > dim:
        raise ValueError(f"a group of {order} elements needs at least {order} dimensions, got dim={dim}")
    acts = LinearGroup.regular(table, dim).elements

    def orthogonal() -> Tensor:
        return torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator))[0]

    half = math.log(spread) / 2
    stretch = torch.exp(half * (2 * torch.rand(dim, dtype=torch.float64, generator=generator) - 1))
    basis = (orthogonal() * stretch) @ orthogonal()
    actions = basis @ acts @ torch.linalg.inv(basis)
    orbits = -(-num_points // order)
    base = torch.randn(orbits, dim, dtype=torch.float64, generator=generator)
    base = base / base.norm(dim=1, keepdim=True) @ basis.T
    points = torch.einsum("gab,kb->kga", actions, base).flatten(0, 1)
    shift = torch.randn(points.shape, dtype=torch.float64, generator=generator) / math.sqrt(dim)
    points = points + noise * points.norm(dim=1, keepdim=True) * shift
    return points[torch.randperm(len(points), generator=generator)], actions
