"""Polish: from a rough guess of a symmetry to the nearest local optimum, many guesses at a time.

Alternate two steps until they agree (iterative closest points with soft, annealed assignments):

- the assignment: point k goes to point l with weight P_kl, from the similarities <Q u_k, u_l> (and the evidence);
- the rotation: Q = the orthogonal matrix with Q^p = I nearest to sum_kl P_kl u_l u_k^T (Procrustes).

Batches run in float32 on matrix products alone. The few best are finished in float64 with an optimal one-to-one
assignment and exact projections.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .evidence import Evidence

TEMPERATURES = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 40.0, 40.0)  # inverse; similarities are cosines
SKETCH_TEMPERATURES = (5.0, 8.0, 12.0, 18.0, 25.0, 40.0)
SINKHORN_STEPS = 3
FINISHING_STEPS = 6


def balanced(scores: Tensor) -> Tensor:
    """Nearly doubly stochastic matrices proportional to exp(scores) up to row and column factors (Sinkhorn).

    Shapes: (B, N, N) to the same.
    """
    kernel = scores.sub(scores.amax(2, keepdim=True)).exp_()
    rows = columns = torch.ones_like(kernel[:, :, :1])
    for _ in range(SINKHORN_STEPS):
        rows = 1 / (kernel @ columns).clamp_min(1e-20)
        columns = 1 / (kernel.mT @ rows).clamp_min(1e-20)
    return kernel.mul_(rows).mul_(columns.mT)


def orthogonal_factor(m: Tensor, lifts: int = 5, steps: int = 4) -> Tensor:
    """The orthogonal polar factor by Newton-Schulz iterations: matrix products only. (B, r, r) to the same."""
    x = m / torch.linalg.matrix_norm(m)[:, None, None].clamp_min(1e-20)
    for _ in range(lifts):  # a quintic that lifts small singular values fast, to about 1
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    for _ in range(steps):  # a cubic that converges to 1
        x = 1.5 * x - 0.5 * (x @ x.mT) @ x
    return x


def of_order(q: Tensor, order: int, steps: int = 3) -> Tensor:
    """Move orthogonal matrices to Q^p = I: each eigenvalue goes to the nearest p-th root of unity.

    A matrix near a root of the identity has Q^(1-p) near Q; the mean of p - 1 parts Q and one part Q^(1-p) cancels the
    deviation of each angle to first order. Shapes: (B, r, r) to the same.
    """
    for _ in range(steps):
        q = orthogonal_factor((order - 1) * q + torch.linalg.matrix_power(q, order - 1).mT)
    return q


def polish(points: Tensor, scores: Tensor, order: int, evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Anneal a batch of first scores to local optima.

    Args:
        points: (N, r), float32.
        scores: (B, N, N), first log-weights of k -> l.
        order: p.

    Returns:
        Q (B, r, r) and the last similarities (B, N, N).
    """
    q = None
    for beta in (1.0, *TEMPERATURES):
        weights = balanced(scores if q is None else beta * scores)
        m = (weights @ points).mT @ points  # sum_kl P_kl u_l u_k^T
        if order == 2:
            m = m + m.mT
        q = of_order(orthogonal_factor(m), order)
        scores = similarities(points, q)
        scores = evidence.added(scores, weights)
    assert q is not None
    return q, scores


def sketch(
    points: Tensor, voters: Tensor, scores: Tensor, order: int, penalty: Tensor | None, coverage: float = 1.0
) -> tuple[Tensor, Tensor]:
    """A cheap version of `polish`, in which only some points vote and several may go to one.

    Args:
        points: (N, r), float32.
        voters: (K,), points k.
        scores: (B, K, N), first log-weights of k -> l.
        penalty: (K, N), added to similarities.
        coverage: the share of the voters that count, the best.

    Returns:
        Q (B, r, r), and the mismatch of the voters (B,).
    """
    some = points[voters]
    q = points.new_zeros(0)
    for beta in (1.0, *SKETCH_TEMPERATURES):
        weights = torch.softmax(beta * scores, 2)
        m = (weights @ points).mT @ some  # (B, r, r)
        if order == 2:
            m = m + m.mT
        q = of_order(orthogonal_factor(m, 4, 2), order, 1)
        scores = (some @ q.mT) @ points.T
        if penalty is not None:
            scores = scores + penalty
    moved = some @ q.mT
    norms = points.square().sum(1)
    closest = norms[voters] + (norms - 2 * scores).amin(2)  # |Q u_k - u_l|^2
    return q, share(trimmed(closest, coverage), (moved - some).square().sum((1, 2)))


def trimmed(misfits: Tensor, coverage: float) -> Tensor:
    """The sum of the smallest misfits, of a share of them. (B, N) to (B,)."""
    if coverage == 1:
        return misfits.sum(1)
    return misfits.topk(math.ceil(coverage * misfits.shape[1]), dim=1, largest=False).values.sum(1)


def share(misfit: Tensor, motion: Tensor) -> Tensor:
    """misfit / motion; infinite for the identity, which fits without moving anything."""
    return torch.where(motion > 1e-3, misfit / motion.clamp_min(1e-3), torch.inf)


def similarities(points: Tensor, q: Tensor) -> Tensor:
    """<Q u_k, u_l>, (B, N, N)."""
    return (points @ q.mT) @ points.T


def exact_of_order(q: Tensor, order: int) -> Tensor:
    """The matrix with Q^p = I nearest to an orthogonal one, through its eigenvalues. (r, r), float64.

    The eigenvectors are those of a Hermitian matrix that commutes with Q, so that they are orthonormal.
    """
    hermitian = (q + q.T) / 2 + 0.37 * (q - q.T) / 2j
    vectors = torch.linalg.eigh(hermitian)[1]
    angles = torch.angle((vectors.conj() * (q.to(vectors.dtype) @ vectors)).sum(0))
    if order % 2:  # a real eigenvalue -1 has no partner to turn with
        angles = torch.where(angles.abs() > torch.pi - 1e-6, 0.0, angles)
    roots = torch.exp(2j * torch.pi / order * torch.round(angles * order / (2 * torch.pi)))
    return ((vectors * roots) @ vectors.mH).real


def finish(points: Tensor, q: Tensor, order: int, evidence: Evidence) -> tuple[Tensor, Tensor]:
    """The local optimum with a one-to-one assignment: Q (r, r) and the permutation (N,), float64 points."""
    permutation = torch.empty(0, dtype=torch.long)
    for _ in range(FINISHING_STEPS):
        scores = similarities(points, q[None])
        if len(permutation):
            scores = evidence.added(scores, _matrix(permutation)[None].to(scores.dtype))
        new = torch.from_numpy(linear_sum_assignment(np.asarray(scores[0]), maximize=True)[1])
        if len(permutation) and bool((new == permutation).all()):
            break
        permutation = new
        kept = best_matched(points, q, permutation, evidence.coverage)
        u, _, vh = torch.linalg.svd(points[permutation[kept]].T @ points[kept])
        q = exact_of_order(u @ vh, order_within(permutation, order))
    return q, permutation


def order_within(permutation: Tensor, order: int) -> int:
    """The order of a permutation if it divides `order`, else `order`.

    The points span the space. So an action that permutes them has the order of its permutation. Without this rule, a direction in
    which noise hides the points could get an eigenvalue that the permutation excludes.
    """
    power = rest = torch.arange(len(permutation))
    for k in range(1, order):
        power = permutation[power]
        if order % k == 0 and bool((power == rest).all()):
            return k
    return order


def best_matched(points: Tensor, q: Tensor, permutation: Tensor, coverage: float) -> Tensor:
    """The share of the points whose images are nearest to where Q takes them: their indices."""
    if coverage == 1:
        return torch.arange(len(points))
    misfits = (points @ q.T - points[permutation]).square().sum(1)
    return misfits.argsort(stable=True)[: math.ceil(coverage * len(points))]


def _matrix(permutation: Tensor) -> Tensor:
    return torch.eye(len(permutation))[permutation]
