"""The null: the same search where the symmetry is destroyed, and a p-value for each mismatch."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import chi2
from torch import Tensor

from .evidence import Evidence
from .search import SMALLEST
from .whitening import whiten

SAME_CLUSTER = 0.7  # cosine above which all points of a cluster are with each other
NEARBY_RANKS = 0.005  # share of all pairs that may lend a value of pair evidence
CONFIDENCE = 0.05  # of the upper bound for the deviation of the null
PRIOR_FREEDOM = 8  # draws that the deviation of all orders counts for
LEAST_DEVIATION = 0.02  # of the logarithm of a mismatch
SMALLEST_P = 1e-300


def scrambled(points: Tensor, evidence: Evidence, generator: torch.Generator) -> tuple[Tensor, Evidence]:
    """A cloud like the given one without its symmetries.

    The dendrogram of the points is kept, and at each of its merges the offsets of the two parts turn at random about the
    mean of all; then the cloud is whitened again. What is kept: the number of points, their norms, the scatter matrix, the
    mean, and clusters at all scales (a search on few clusters is easier than on many points). Frequencies, amplitudes and
    labels stay with their points. A pair gets the evidence of a pair of the original cloud of nearly the same similarity.

    Args:
        points: (N, r), float64, whitened.
    """
    r = points.shape[1]
    # An orthonormal basis that starts at the mean, which every symmetry keeps, as do the rotations.
    basis = torch.linalg.qr(torch.cat([points.mean(0)[:, None], torch.eye(r, dtype=points.dtype)[:, : r - 1]], 1))[0]
    new = _turned_offsets(points @ basis, generator)
    norms = points.norm(dim=1)
    equal = float(norms.std()) < 1e-9 * float(norms.mean())
    new = whiten(new, scale_free=equal, shrinkage=0.0).points
    if new.shape != points.shape:  # a copy arose by chance: never with continuous rotations
        raise RuntimeError("the scrambled points are degenerate")
    new = new * torch.linalg.svdvals(points) / torch.linalg.svdvals(points).square().mean().sqrt()  # the spectrum
    if equal:
        new = new / new.norm(dim=1, keepdim=True) * norms.mean()
    pairs = [_lent(points, new, graph, generator) for graph in evidence.pairs]
    stacked = torch.stack(pairs) if pairs else evidence.pairs
    return new, Evidence.of(stacked, evidence.points, evidence.labels, evidence.coverage)


def num_clusters(points: Tensor) -> int:
    """How many tight clusters the points make: a point that is far from all others is one."""
    unit = points / points.norm(dim=1, keepdim=True)
    rows, columns = torch.triu_indices(len(points), len(points), 1)
    distances = (1 - unit @ unit.T).clamp_min(0)[rows, columns]
    return int(fcluster(linkage(distances.numpy(), "complete"), 1 - SAME_CLUSTER, "distance").max())


class Null:
    """The mismatches of searches without symmetry, order by order, and the p-values that follow.

    Within the range of the draws of its order, p = (1 + number of draws that are as small) / (1 + number of draws). Below it, p
    is the tail of a Gumbel distribution of minima, fitted to the logarithms of the draws. Its location is fitted to the
    draws of the order. Its deviation is moderated: that of the order, with the deviation of all orders as a prior that
    counts as much as PRIOR_FREEDOM draws (Smyth 2004, equation 5). It is a 95 % upper confidence bound that
    includes the uncertainty of the location, so that few draws make p-values larger. Some searches end nowhere; so draws
    count as no farther above the median than the smallest lies below it.

    Args:
        mismatches: order -> the draws, at least two.
    """

    def __init__(self, mismatches: dict[int, list[float]]) -> None:
        self.mismatches = mismatches
        logs = {order: _clipped(np.log(np.maximum(draws, SMALLEST))) for order, draws in mismatches.items()}
        self._means = {order: float(values.mean()) for order, values in logs.items()}
        squares = {order: float(((values - values.mean()) ** 2).sum()) for order, values in logs.items()}
        pooled = sum(squares.values()) / sum(len(values) - 1 for values in logs.values())
        self._deviations = {}
        for order, values in logs.items():
            freedom = PRIOR_FREEDOM + len(values) - 1
            bound = (PRIOR_FREEDOM * pooled + squares[order]) / chi2.ppf(CONFIDENCE, freedom)
            self._deviations[order] = max(math.sqrt(bound), LEAST_DEVIATION)

    def p_value(self, order: int, mismatch: float) -> float:
        """The chance that a search for this order ends at such a mismatch without symmetry."""
        draws = self.mismatches[order]
        as_small = sum(value <= mismatch for value in draws)
        if as_small:
            return (1 + as_small) / (1 + len(draws))
        scale = self._deviations[order] * math.sqrt(1 + 1 / len(draws)) * math.sqrt(6) / math.pi
        location = self._means[order] + float(np.euler_gamma) * scale
        tail = -math.expm1(-math.exp((math.log(max(mismatch, SMALLEST)) - location) / scale))
        return max(min(tail, 1 / (1 + len(draws))), SMALLEST_P)

    def threshold(self, order: int, alpha: float) -> float:
        """The mismatch whose p-value is alpha."""
        low, high = math.log(SMALLEST), math.log(max(self.mismatches[order]) * 2)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_value(order, math.exp(middle)) <= alpha else (low, middle)
        return math.exp(low)


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.minimum(values, 2 * np.median(values) - values.min())


def _turned_offsets(points: Tensor, generator: torch.Generator) -> Tensor:
    """Build the cloud again from its dendrogram: at each merge, the offsets of both parts turn by a rotation of their own.

    The first coordinate stays. So do the distances from each point or cluster to its nearest neighbour. (N, r) to the same.
    """
    n, r = points.shape
    merges = linkage(points.numpy(), "average")[:, :2].astype(int)
    sizes = torch.ones(2 * n - 1, dtype=points.dtype)
    centers = torch.cat([points, points.new_zeros(n - 1, r)])
    for node, (a, b) in enumerate(merges, start=n):
        sizes[node] = sizes[a] + sizes[b]
        centers[node] = (sizes[a] * centers[a] + sizes[b] * centers[b]) / sizes[node]
    new = centers.clone()
    for node in range(2 * n - 2, n - 1, -1):
        q, upper = torch.linalg.qr(torch.randn(r - 1, r - 1, dtype=points.dtype, generator=generator))
        turn = (q * upper.diagonal().sign()).T
        for part in merges[node - n]:
            offset = centers[part] - centers[node]
            new[part] = new[node]
            new[part, :1] += offset[:1]
            new[part, 1:] += offset[1:] @ turn
    return new[:n]


def _lent(points: Tensor, new: Tensor, graph: Tensor, generator: torch.Generator) -> Tensor:
    """Pair evidence for new points: each pair takes the value of an old pair of nearly equal rank of similarity."""
    rows, columns = torch.triu_indices(len(points), len(points), 1)
    old_order = (points @ points.T)[rows, columns].argsort()
    new_order = (new @ new.T)[rows, columns].argsort()
    m = len(rows)
    reach = max(3, int(NEARBY_RANKS * m))
    lender = (torch.arange(m) + torch.randint(-reach, reach + 1, (m,), generator=generator)).clamp(0, m - 1)
    values = torch.empty(m, dtype=graph.dtype)
    values[new_order] = graph[rows, columns][old_order[lender]]
    result = torch.zeros_like(graph)
    result[rows, columns] = values
    return result + result.T
