"""The search for symmetries of one order: seeds, ranked by their votes, polished, and the best few finished."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from .evidence import POINT_WEIGHT, Evidence
from .polish import finish, polish, share, sketch, trimmed
from .seeds import quality, seeds_of, votes

MAX_NUMBERS = 12_000_000  # float32 numbers in one batch
SAME_END = 0.5  # mean square distance of the images of a unit vector below which two sketches end at one action
SMALLEST = 1e-6  # mismatches below count as this: exact symmetries differ by rounding alone


@dataclass(frozen=True)
class Effort:
    """How much one search does.

    Attributes:
        width: of the beam of paths.
        seeds: seeds whose votes are counted.
        voters: points that vote on how good a seed is.
        sketched: seeds whose end is sketched.
        polished: seeds that are annealed.
        finished: local optima that are finished with a one-to-one assignment.
    """

    width: int = 15000
    seeds: int = 4000
    voters: int = 64
    sketched: int = 400
    polished: int = 12
    finished: int = 4

    def thorough(self) -> Effort:
        """The effort that lists several symmetries of one order, where there is one."""
        return replace(self, seeds=2 * self.seeds, sketched=2 * self.sketched, polished=4 * self.polished, finished=16)

    @classmethod
    def for_size(cls, n: int) -> Effort:
        if n <= 120:
            return cls()
        if n <= 300:
            return cls(width=5000, seeds=3000, sketched=300, polished=8)
        return cls(width=3000, seeds=2000, sketched=200, polished=8)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A local optimum of the search.

    Attributes:
        q: (r, r), orthogonal, Q^order = I.
        permutation: (N,), point k goes to point permutation[k].
        order: the smallest one.
        residual: sum_k |Q u_k - u_pi(k)|^2 / sum_k |u_k|^2.
        mismatch: the weighted geometric mean of the mismatch of the points (see `mismatch_of_points`) and those of the
            evidence.
    """

    q: Tensor
    permutation: Tensor
    order: int
    residual: float
    mismatch: float


def search(
    points: Tensor, evidence: Evidence, order: int, generator: torch.Generator, effort: Effort
) -> list[Candidate]:
    """Symmetries Q with Q^p = I of whitened points (N, r), float64: distinct local optima, best first."""
    single, light = points.float(), evidence.to(torch.float32)
    graphs = torch.cat([_gram_graph(points)[None], evidence.pairs]).float()
    seeds = _ranked_seeds(graphs, single, order, light, generator, effort)
    found: list[tuple[float, Tensor]] = []
    chunk = max(1, MAX_NUMBERS // len(points) ** 2)
    for i in range(0, len(seeds), chunk):
        first = torch.cat([votes(graphs, seed[None]) for seed in seeds[i : i + chunk]])
        q, similar = polish(single, first, order, light)
        moved = single @ q.mT  # (B, N, r)
        nearest = single[similar.argmax(2)]
        misfits = trimmed((moved - nearest).square().sum(2), evidence.coverage)
        ratio = share(misfits, (moved - single).square().sum((1, 2)))
        found += list(zip(ratio.tolist(), q, strict=True))
    found.sort(key=lambda item: item[0])
    return _finished(found, points, evidence, order, effort.finished)


def candidate(points: Tensor, evidence: Evidence, q: Tensor, order: int) -> Candidate | None:
    """Finish one guess; None where it ends at the identity."""
    q, permutation = finish(points, q, order, evidence)
    if bool((permutation == torch.arange(len(points))).all()):
        return None
    misfit = float((points @ q.T - points[permutation]).square().sum())
    parts = [mismatch_of_points(points, q, permutation, order, evidence.coverage), *evidence.mismatches(permutation)]
    weights = [1.0] * (1 + len(evidence.pairs)) + [POINT_WEIGHT] * len(evidence.points)
    if not all(map(math.isfinite, parts)):
        return None
    logs = sum(weight * math.log(max(part, SMALLEST)) for weight, part in zip(weights, parts, strict=True))
    mismatch = math.exp(logs / sum(weights))
    identity = torch.eye(len(q), dtype=q.dtype)
    true_order = next(
        k for k in range(1, order + 1) if order % k == 0 and _close(torch.linalg.matrix_power(q, k), identity)
    )
    return Candidate(q, permutation, true_order, misfit / float(points.square().sum()), mismatch)


def mismatch_of_points(points: Tensor, q: Tensor, permutation: Tensor, order: int, coverage: float = 1.0) -> float:
    """sum_k |Q u_k - u_pi(k)|^2 / sum_k |Q u_k - u_k|^2, per degree of freedom.

    It is about 1 for chance, and for a Q that hardly moves anything.

    With C cycles, N - C of the equations Q u_k = u_pi(k) are independent; they hold (N - C) r numbers. The matrices with the
    eigenvalues of Q have f = (r^2 - sum_z m_z^2) / 2 free parameters, m_z the multiplicities. So the ratio is divided by
    1 - f / ((N - C) r). A Q that moves few points is fitted more freely, and a symmetry is not believed for it.

    The sums are over the points that are matched best, a share `coverage` of the motion.
    """
    moved = points @ q.T
    misfits = (moved - points[permutation]).square().sum(1)
    motions = (moved - points).square().sum(1).clamp_min(1e-12)
    if coverage < 1:
        ranked = (misfits / motions).argsort(stable=True)
        kept = ranked[motions[ranked].cumsum(0) <= coverage * motions.sum()]
        misfits, motions = misfits[kept], motions[kept]
    ratio = float(misfits.sum()) / max(float(motions.sum()), 1e-9)
    r = len(q)
    numbers = coverage * r * (len(points) - num_cycles(permutation))
    traces = [float(torch.linalg.matrix_power(q, s).trace()) for s in range(order)]
    free = (r**2 - sum(trace**2 for trace in traces) / order) / 2  # by the orthogonality of characters
    return ratio * numbers / (numbers - free) if numbers > free else math.inf


def num_cycles(permutation: Tensor) -> int:
    """Cycles of a permutation, fixed points among them."""
    n = len(permutation)
    graph = csr_matrix((np.ones(n), (np.arange(n), permutation.numpy())), shape=(n, n))
    return connected_components(graph, return_labels=False)


def _finished(
    found: list[tuple[float, Tensor]], points: Tensor, evidence: Evidence, order: int, most: int
) -> list[Candidate]:
    """The best distinct guesses, finished."""
    tried: list[Tensor] = []
    candidates: list[Candidate] = []
    for _, q in found:
        if len(candidates) == most or len(tried) == 4 * most:
            break
        q = q.double()
        if any(_alike(q, other) or _alike(q.T, other) for other in tried):
            continue
        tried.append(q)
        made = candidate(points, evidence, q, order)
        if made is not None and not any(_alike(made.q, c.q) or _alike(made.q.T, c.q) for c in candidates):
            candidates.append(made)
    return sorted(candidates, key=lambda c: c.mismatch)


def _ranked_seeds(
    graphs: Tensor, points: Tensor, order: int, evidence: Evidence, generator: torch.Generator, effort: Effort
) -> list[Tensor]:
    """The best seeds by their votes, and of those the best by a sketch of where they lead: (2, M) each."""
    n = graphs.shape[1]
    voters = torch.randperm(n, generator=generator)[: effort.voters]
    kinds = seeds_of(graphs, order, effort.width, effort.seeds, evidence)
    chosen = []
    for seeds in kinds:
        seeds = _best(graphs, seeds, voters[: effort.voters // 2], effort.sketched // len(kinds), evidence)
        chosen += list(_sketched(graphs, points, seeds, order, voters, effort.polished // len(kinds), evidence))
    return chosen


def _sketched(
    graphs: Tensor, points: Tensor, seeds: Tensor, order: int, voters: Tensor, most: int, evidence: Evidence
) -> Tensor:
    """The seeds whose sketch ends best. Half of them, if possible, end at different actions."""
    if len(seeds) <= most:
        return seeds
    penalty = None if evidence.penalty is None else evidence.penalty[voters]
    ends = []
    for batch in seeds.split(max(1, MAX_NUMBERS // (len(voters) * len(points)))):
        ends.append(sketch(points, voters, votes(graphs, batch, voters), order, penalty, evidence.coverage))
    q, mismatches = (torch.cat(parts) for parts in zip(*ends, strict=True))
    ranked = mismatches.argsort()
    first = _first_at_each_end(q[ranked])
    leaders, others = ranked[first][: most - most // 2], ranked[~first]
    return seeds[torch.cat([leaders, others[: most - len(leaders)]])]


def _first_at_each_end(q: Tensor) -> Tensor:
    """Which of the ranked ends (B, r, r) are not near one of a better rank. An action and its inverse are one end."""
    flat = q.flatten(1)
    distances = torch.minimum(torch.cdist(flat, flat), torch.cdist(flat, q.mT.flatten(1)))
    return ~(distances.square() < SAME_END * q.shape[1]).tril(-1).any(1)


def _best(graphs: Tensor, seeds: Tensor, voters: Tensor, most: int, evidence: Evidence) -> Tensor:
    """The seeds that explain the voters best."""
    if len(seeds) <= most:
        return seeds
    qualities = []
    for batch in seeds.split(max(1, MAX_NUMBERS // (len(voters) * graphs.shape[1]))):
        voted = votes(graphs, batch, voters)
        if evidence.penalty is not None:
            voted = voted + evidence.penalty[voters]
        qualities.append(quality(voted))
    return seeds[torch.cat(qualities).topk(most).indices]


def _gram_graph(points: Tensor) -> Tensor:
    """The Gram matrix, standardized off its diagonal."""
    gram = points @ points.T
    n = len(gram)
    off = ~torch.eye(n, dtype=torch.bool)
    values = gram[off]
    return (gram - values.mean()) / values.std().clamp_min(1e-12) * off


def _alike(a: Tensor, b: Tensor) -> bool:
    return float((a - b).square().mean()) * len(a) < 0.02


def _close(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().max()) < 1e-6
