"""The null: the same search where the symmetry is destroyed, and a p-value for each mismatch."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import chi2
from torch import Tensor

from .evidence import Evidence
from .whitening import whiten

SAME_CLUSTER = 0.9  # cosine above which neighbouring points are scrambled together
NEARBY_RANKS = 0.005  # share of all pairs that may lend a value of pair evidence
CONFIDENCE = 0.05  # of the upper bound for the deviation of the null
LEAST_DEVIATION = 0.02  # of the logarithm of a mismatch


def scrambled(points: Tensor, evidence: Evidence, generator: torch.Generator) -> tuple[Tensor, Evidence]:
    """A cloud like the given one without its symmetries.

    Every point gets a random rotation of its own, and the cloud is whitened again. What is kept: the number of points,
    their norms, the scatter matrix, and tight clusters, which turn as one (a search on few clusters is easier than on many
    points). Frequencies, amplitudes and labels stay with their points. A pair gets the evidence of a pair of the original
    cloud of nearly the same similarity.

    Args:
        points: (N, r), float64, whitened.
    """
    n, r = points.shape
    clusters = torch.from_numpy(_clusters(points))
    new = torch.empty_like(points)
    for cluster in clusters.unique():
        members = clusters == cluster
        q, upper = torch.linalg.qr(torch.randn(r, r, dtype=points.dtype, generator=generator))
        new[members] = points[members] @ (q * upper.diagonal().sign()).T
    norms = points.norm(dim=1)
    equal = float(norms.std()) < 1e-9 * float(norms.mean())
    new = whiten(new, scale_free=equal).points
    if new.shape != points.shape:  # a copy arose by chance: never with continuous rotations
        raise RuntimeError("the scrambled points are degenerate")
    pairs = [_lent(points, new, graph, generator) for graph in evidence.pairs]
    stacked = torch.stack(pairs) if pairs else evidence.pairs
    return new, Evidence.of(stacked, evidence.points, evidence.labels)


def p_value(mismatch: float, null: list[float]) -> float:
    """The chance that a search without symmetry ends at a mismatch as small as this.

    Within the range of the null draws: (1 + number of draws that are as small) / (1 + number of draws). Below it: the tail
    of a Gumbel distribution of minima, fitted to the logarithms of the draws by moments. Its deviation is an upper
    95 % confidence bound, so that few draws make the p-value larger, and it is at most 1 / (1 + draws).
    """
    draws = len(null)
    as_small = sum(value <= mismatch for value in null)
    if as_small:
        return (1 + as_small) / (1 + draws)
    logs = np.log(np.maximum(null, 1e-12))
    deviation = max(float(logs.std(ddof=1)), LEAST_DEVIATION)
    deviation *= math.sqrt((draws - 1) / chi2.ppf(CONFIDENCE, draws - 1))
    scale = deviation * math.sqrt(6) / math.pi
    location = float(logs.mean()) + np.euler_gamma * scale
    tail = -math.expm1(-math.exp((math.log(max(mismatch, 1e-12)) - location) / scale))
    return max(min(tail, 1 / (1 + draws)), 1e-300)


def threshold(alpha: float, null: list[float]) -> float:
    """The largest mismatch with a p-value of at most alpha."""
    low, high = 1e-9, max(null) * 2
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if p_value(middle, null) <= alpha else (low, middle)
    return low


def _clusters(points: Tensor) -> np.ndarray:
    unit = points / points.norm(dim=1, keepdim=True)
    distance = (1 - unit @ unit.T).clamp_min(0)
    rows, columns = torch.triu_indices(len(points), len(points), 1)
    return fcluster(linkage(distance[rows, columns].numpy(), "complete"), 1 - SAME_CLUSTER, "distance")


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
