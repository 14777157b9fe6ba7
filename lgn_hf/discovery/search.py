"""The search for symmetries of one order: seeds, ranked by their votes, polished, and the best few finished."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .evidence import Evidence
from .polish import finish, polish
from .seeds import consistent_cycles, quality, votes

MAX_PAIRS = 30_000  # pairs that are tried as seeds of order 2
MAX_NUMBERS = 12_000_000  # float32 numbers in one batch
SMALLEST = 1e-6  # mismatches below count as this: exact symmetries differ by rounding alone


@dataclass(frozen=True)
class Effort:
    """How much one search does.

    Attributes:
        width: of the beam of cycles.
        cycles: cycles whose votes are counted.
        voters: points that vote on how good a seed is.
        extended: pairs that are extended by second pairs, order 2 alone.
        extensions: second pairs of each.
        polished: seeds that are annealed.
        finished: local optima that are finished with a one-to-one assignment.
    """

    width: int = 4000
    cycles: int = 2000
    voters: int = 64
    extended: int = 200
    extensions: int = 6
    polished: int = 48
    finished: int = 6

    @classmethod
    def for_size(cls, n: int) -> Effort:
        if n <= 120:
            return cls()
        if n <= 300:
            return cls(width=6000, extensions=4, polished=32)
        return cls(width=6000, voters=32, extensions=4, polished=20)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A local optimum of the search.

    Attributes:
        q: (r, r), orthogonal, Q^order = I.
        permutation: (N,), point k goes to point permutation[k].
        order: the smallest one.
        residual: sum_k |Q u_k - u_pi(k)|^2 / sum_k |u_k|^2.
        mismatch: the geometric mean of the mismatch of the points,
            sum_k |Q u_k - u_pi(k)|^2 / sum_k |Q u_k - u_k|^2, and those of the evidence. About 1 for chance, and for
            a Q that hardly moves anything.
    """

    q: Tensor
    permutation: Tensor
    order: int
    residual: float
    mismatch: float


def search(points: Tensor, evidence: Evidence, order: int, generator: torch.Generator, effort: Effort) -> list[Candidate]:
    """Symmetries Q with Q^p = I of whitened points (N, r), float64: distinct local optima, best first."""
    single, light = points.float(), evidence.to(torch.float32)
    graphs = torch.cat([_gram_graph(points)[None], evidence.pairs]).float()
    seeds = _ranked_seeds(graphs, order, light, generator, effort)
    found: list[tuple[float, Tensor]] = []
    chunk = max(1, MAX_NUMBERS // len(points) ** 2)
    for batch in seeds.split(chunk):
        q, similar = polish(single, votes(graphs, batch), order, light)
        moved = single @ q.mT  # (B, N, r)
        nearest = single[similar.argmax(2)]
        ratio = (moved - nearest).square().sum((1, 2)) / (moved - single).square().sum((1, 2)).clamp_min(1e-6)
        found += list(zip(ratio.tolist(), q, strict=True))
    found.sort(key=lambda item: item[0])
    return _finished(found, points, evidence, order, effort.finished)


def candidate(points: Tensor, evidence: Evidence, q: Tensor, order: int) -> Candidate | None:
    """Finish one guess; None where it ends at the identity."""
    q, permutation = finish(points, q, order, evidence)
    if bool((permutation == torch.arange(len(points))).all()):
        return None
    moved = points @ q.T
    numerator = float((moved - points[permutation]).square().sum())
    parts = [numerator / max(float((moved - points).square().sum()), 1e-9), *evidence.mismatches(permutation)]
    mismatch = math.exp(sum(math.log(max(part, SMALLEST)) for part in parts) / len(parts))
    identity = torch.eye(len(q), dtype=q.dtype)
    true_order = next(
        k for k in range(1, order + 1) if order % k == 0 and _close(torch.linalg.matrix_power(q, k), identity)
    )
    return Candidate(q, permutation, true_order, numerator / float(points.square().sum()), mismatch)


def _finished(
    found: list[tuple[float, Tensor]], points: Tensor, evidence: Evidence, order: int, most: int
) -> list[Candidate]:
    """The best distinct guesses, finished."""
    tried: list[Tensor] = []
    candidates: list[Candidate] = []
    for _, q in found:
        if len(tried) == most:
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
    graphs: Tensor, order: int, evidence: Evidence, generator: torch.Generator, effort: Effort
) -> Tensor:
    """The best seeds by their votes: cycles (B, M, p)."""
    n = graphs.shape[1]
    voters = torch.randperm(n, generator=generator)[: effort.voters]
    if order > 2:
        seeds = consistent_cycles(graphs, order, effort.width, effort.cycles, evidence)[:, None]
        return _best(graphs, seeds, voters, effort.polished, evidence)
    pairs = torch.triu_indices(n, n, 1).T
    if evidence.labels is not None:
        pairs = pairs[evidence.labels[pairs[:, 0]] == evidence.labels[pairs[:, 1]]]
    pairs = pairs[torch.randperm(len(pairs), generator=generator)[:MAX_PAIRS]]
    pairs = _best(graphs, pairs[:, None], voters, effort.extended, evidence)
    return _best(graphs, _extended(graphs, pairs, evidence, effort.extensions), voters, effort.polished, evidence)


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


def _extended(graphs: Tensor, pairs: Tensor, evidence: Evidence, extensions: int) -> Tensor:
    """Each seed pair with each of the second pairs that it votes for most: (B, 1, 2) to (B * extensions, 2, 2)."""
    n = graphs.shape[1]
    upper = torch.where(torch.ones(n, n).triu(1) > 0, 0.0, -math.inf)
    extended = []
    for batch in pairs.split(max(1, MAX_NUMBERS // n**2)):
        voted = votes(graphs, batch) + upper
        if evidence.penalty is not None:
            voted += evidence.penalty
        for own in (batch[:, 0, 0], batch[:, 0, 1]):
            voted.scatter_(1, own[:, None, None].expand(-1, 1, n), -math.inf)
            voted.scatter_(2, own[:, None, None].expand(-1, n, 1), -math.inf)
        best = voted.flatten(1).topk(extensions, dim=1).indices
        second = torch.stack([best // n, best % n], -1)  # (B, extensions, 2)
        first = batch.expand(-1, extensions, -1)
        extended.append(torch.stack([first, second], 2).flatten(0, 1))
    return torch.cat(extended)


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
