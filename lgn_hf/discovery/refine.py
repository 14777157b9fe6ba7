"""Refine: the most likely matrix of an action, given the permutation.

For points with equal isotropic noise in the original coordinates, w_(pi k) = A w_k + noise with A^p = I, the eigenspace of
the root of unity z is the span of the Fourier components F_k = sum_s z^(-s) w_(pi^s k): its maximum likelihood
estimate is spanned by their leading principal components.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .polish import exact_of_order

EXACT = 1e-14  # misfits below count as equal


def refined(
    points: Tensor, permutation: Tensor, order: int, q: Tensor, kept: Tensor | None = None
) -> tuple[Tensor, float]:
    """A with A^p = I, real, and its misfit sum_k |A w_k - w_pi(k)|^2 / sum_k |w_k|^2.

    Args:
        points: (N, r), float64, original coordinates on the span.
        permutation: (N,).
        order: p.
        kept: indices of the points whose images are given; by default all.
        q: (r, r), a first estimate with Q^p = I in any coordinates, for the dimensions of the eigenspaces.

    Returns:
        A (r, r), and the misfit. A is orthogonal where an orthogonal matrix fits as well, by the Bayesian information criterion.
    """
    traces = torch.stack([torch.linalg.matrix_power(q, s).trace() for s in range(order)])
    counts = (
        torch.round(torch.fft.fft(traces).real / order).long().tolist()
    )  # dimensions, by the orthogonality of characters
    powers = [torch.arange(len(points))]
    for _ in range(order - 1):
        powers.append(permutation[powers[-1]])
    everyone = torch.arange(len(points))
    kept = everyone if kept is None else kept
    matched = torch.isin(everyone, kept)
    returns = (permutation[powers[-1]] == powers[0]) & torch.stack([matched[power] for power in powers]).all(0)
    if int(returns.sum()) < points.shape[1]:
        returns = torch.ones_like(returns)
    w = points / points.norm(dim=1).square().mean().sqrt()
    paths = torch.stack([w[power[returns]] for power in powers]).to(torch.complex128)  # (p, N', r)
    vectors, roots = [], []
    for k in range(order):
        if not counts[k]:
            continue
        phases = torch.exp(-2j * torch.pi * k * torch.arange(order) / order)
        components = (phases[:, None, None] * paths).sum(0)  # (N', r)
        vh = torch.linalg.svd(components, full_matrices=False)[2]
        vectors.append(vh[: counts[k]].T)
        roots += [complex(math.cos(2 * math.pi * k / order), math.sin(2 * math.pi * k / order))] * counts[k]
    basis = torch.cat(vectors, 1)
    eigenvalues = torch.tensor(roots, dtype=torch.complex128)

    def misfit(a: Tensor) -> float:
        return float((w[kept] @ a.T - w[permutation[kept]]).square().sum() / w[kept].square().sum())

    if torch.linalg.cond(basis) > 1e6:
        return q, misfit(q)
    general = ((basis * eigenvalues) @ torch.linalg.inv(basis)).real
    u, _, vh = torch.linalg.svd(basis)
    unitary = u @ vh
    rotation, _, turned = torch.linalg.svd(w[permutation[kept]].T @ w[kept])

    nearby = ((unitary * eigenvalues) @ unitary.mH).real, exact_of_order(rotation @ turned, order)
    orthogonal = min(nearby, key=misfit)

    free = (w.shape[1] ** 2 - sum(c * c for c in counts)) / 2  # parameters that orthogonality takes away
    numbers = w[kept].numel()
    gained = numbers * math.log(max(misfit(orthogonal), EXACT) / max(misfit(general), EXACT))
    a = orthogonal if gained < free * math.log(numbers) else general
    return a, misfit(a)
