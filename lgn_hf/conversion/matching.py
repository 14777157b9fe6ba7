"""Which filters form orbits of a known action, and the basis filters of those orbits.

The problem is to put the filters W_0, ..., W_{N-1} of a layer, one each, into the places (k, g) of orbits so that
sum |W_(k, g) - rho(g) B_k|^2 is smallest, over the places and the basis filters B_k. The places start from a greedy
search. Then two steps alternate: least squares for the basis filters, and linear assignment for the places.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

ROUNDS = 8  # of the alternation, at most; it stops where nothing moves


def match(filters: Tensor, elements: Tensor, blocks: int = 1, rounds: int = ROUNDS) -> Tensor:
    """The members of each orbit.

    Args:
        filters: (N, C, d).
        elements: rho(g), (p, d, d), identity first.
        blocks: orbits do not cross the borders of this many equal parts of the filters.
        rounds: of alternation after the greedy search, at most.

    Returns:
        Which filter is element g of orbit k: whole numbers, (N / p, p).
    """
    size = len(filters) // blocks
    parts = []
    for start in range(0, len(filters), size):
        block = filters[start : start + size]
        parts.append(start + improve(block, elements, greedy(block, elements), rounds))
    return torch.cat(parts)


def greedy(filters: Tensor, elements: Tensor) -> Tensor:
    """Orbits one by one: the filter whose transforms have the nearest neighbours first, with those neighbours."""
    count = len(filters)
    flat = filters.flatten(1)
    moved = orbits_of(filters, elements[1:]).transpose(0, 1).flatten(2)  # (p - 1, N, C d)
    distances = (flat.square().sum(1) - 2 * moved @ flat.T + moved.square().sum(2)[..., None]).transpose(0, 1)
    distances.diagonal(dim1=0, dim2=2).fill_(float("inf"))  # (N, p - 1, N)
    scores = distances.min(2).values.sum(1) / flat.square().sum(1).clamp_min(1e-30)
    rows = distances.numpy()
    orbits: list[list[int]] = []
    taken = np.zeros(count, dtype=np.float32)  # infinite where a filter is
    for seed in scores.argsort(stable=True).tolist():
        if taken[seed]:
            continue
        taken[seed] = np.inf
        orbit = [seed]
        for row in rows[seed]:
            nearest = int((row + taken).argmin())
            if taken[nearest]:  # all that are left are infinitely far
                nearest = int(taken.argmin())
            taken[nearest] = np.inf
            orbit.append(nearest)
        orbits.append(orbit)
    return torch.tensor(orbits)


def improve(filters: Tensor, elements: Tensor, members: Tensor, rounds: int) -> Tensor:
    """Alternate between basis filters and places until the residual falls no more."""
    best, lowest = members, float("inf")
    flat = filters.flatten(1)
    for _ in range(rounds + 1):
        bank = orbits_of(basis_filters(filters, elements, members), elements).flatten(0, 1).flatten(1)
        residual = float((bank - flat[members.flatten()]).square().sum())
        if not residual < lowest * (1 - 1e-4):
            break
        best, lowest = members, residual
        costs = bank.square().sum(1)[:, None] - 2 * bank @ flat.T
        _, columns = linear_sum_assignment(costs.numpy())
        members = torch.from_numpy(columns).view(members.shape)
    return best


def basis_filters(filters: Tensor, elements: Tensor, members: Tensor) -> Tensor:
    """The basis filters that fit best. Elements are (p, d, d), or (K, 1 or C, p, d, d). Returns (K, C, d)."""
    orbits = filters[members]  # (K, p, C, d)
    gram = (elements.mT @ elements).sum(-3)
    if elements.dim() == 3:
        moments = (orbits.transpose(0, 1).flatten(1, 2) @ elements).sum(0)  # (K C, d)
        return torch.linalg.solve(gram, moments.T).T.reshape(len(orbits), *filters.shape[1:])
    moments = (elements.mT @ orbits.transpose(1, 2)[..., None]).sum(2)  # (K, C, d, 1)
    return torch.linalg.solve(gram, moments)[..., 0]


def orbits_of(basis: Tensor, elements: Tensor) -> Tensor:
    """rho(g) B_k: (K, p, C, d)."""
    if elements.dim() == 3:
        return (basis.flatten(0, 1) @ elements.mT).unflatten(1, basis.shape[:2]).transpose(0, 1)
    return (elements @ basis[:, :, None, :, None])[..., 0].transpose(1, 2)


def relative_residual(filters: Tensor, elements: Tensor, members: Tensor) -> float:
    """|W - orbits| / |W| with the best basis filters."""
    fitted = orbits_of(basis_filters(filters, elements, members), elements)
    norm = float(filters.norm())
    return float((fitted - filters[members]).norm()) / norm if norm else 0.0
