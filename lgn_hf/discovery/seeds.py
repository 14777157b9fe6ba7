"""Seeds: first guesses of a symmetry of order p, from one orbit each.

A symmetry of order p moves a generic point through a cycle c_0 -> c_1 -> ... -> c_(p-1) -> c_0. The Gram matrix is
constant along it: all chords of equal length agree, G[c_s, c_(s+t)] = G[c_0, c_t]. A beam search lists the cycles that
keep this rule best. One cycle that is right is enough to tell where all other points go, nearly:

    S[k, l] = sum_s log P(G[c_s, k], G[c_(s+1), l] | k -> l) / P(... | not)

for two normal variables of correlation RHO, or 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .evidence import Evidence

RHO = 0.85  # correlation of matching entries that the likelihoods assume
MAX_CHORDS = 8_000_000  # numbers in one step of the beam search


def consistent_cycles(graphs: Tensor, order: int, width: int, most: int, evidence: Evidence) -> Tensor:
    """The cycles of p points whose chords of equal length agree best, by a beam search.

    The search starts at the most extreme entries of the graphs: few other chords imitate those.

    Args:
        graphs: (E, N, N), symmetric, entries of deviation 1.
        width: of the beam.
        most: cycles to return.

    Returns:
        Cycles (B, p), each once: the smallest index comes first, and one direction of the two.
    """
    count, n, _ = graphs.shape
    classes = order // 2
    features = evidence.points.T  # (N, F)
    start = graphs.square().sum(0).triu(1).flatten().topk(min(width, n * (n - 1) // 2)).indices
    paths = torch.stack([start // n, start % n], 1)
    if evidence.labels is not None:
        paths = paths[evidence.labels[paths[:, 0]] == evidence.labels[paths[:, 1]]]
    sums = graphs.new_zeros(len(paths), count, classes)  # of the chords of each length, in each graph
    sums[:, :, 0] = graphs[:, paths[:, 0], paths[:, 1]].T
    squares = sums.square()
    totals, totals2 = features[paths].sum(1), features[paths].square().sum(1)  # (B, F)
    for length in range(2, order):
        rows, columns = [], []
        values = []
        for part in torch.arange(len(paths)).split(max(1, MAX_CHORDS // (n * count * classes))):
            new_sums, new_squares = _with_chords(graphs, paths[part], sums[part], squares[part], order)
            ratio = graphs.new_zeros(len(part), n)
            for chord, number in enumerate(_chord_counts(length, order)):
                if number > 1:
                    ratio += _agreement(number, new_sums[..., chord], new_squares[..., chord]).sum(-1)
            if features.shape[1]:
                both = totals[part][:, None] + features, totals2[part][:, None] + features.square()
                ratio += _agreement(length + 1, *both).sum(-1)
            if evidence.labels is not None:
                ratio.masked_fill_(evidence.labels[paths[part, :1]] != evidence.labels, -math.inf)
            everyone = torch.arange(n)
            ratio.masked_fill_(everyone < paths[part, :1], -math.inf)  # the smallest index comes first
            if length == order - 1:
                ratio.masked_fill_(everyone < paths[part, 1:2], -math.inf)  # one direction of the two
            ratio.scatter_(1, paths[part], -math.inf)
            best, chosen = ratio.flatten().topk(min(width, ratio.numel()))
            real = torch.isfinite(best)
            values.append(best[real])
            rows.append(part[chosen[real] // n])
            columns.append(chosen[real] % n)
        best = torch.cat(values)
        top = best.topk(min(width if length < order - 1 else most, len(best))).indices
        row, column = torch.cat(rows)[top], torch.cat(columns)[top]
        sums, squares = _joined(graphs, paths[row], column, sums[row], squares[row], order)
        totals, totals2 = totals[row] + features[column], totals2[row] + features[column].square()
        paths = torch.cat([paths[row], column[:, None]], 1)
    return paths[:most]


def _with_chords(
    graphs: Tensor, paths: Tensor, sums: Tensor, squares: Tensor, order: int
) -> tuple[Tensor, Tensor]:
    """The sums for every path and every next point: (B, E, C) to (B, N, E, C)."""
    length, n = paths.shape[1], graphs.shape[1]
    sums = sums[:, None].repeat(1, n, 1, 1)
    squares = squares[:, None].repeat(1, n, 1, 1)
    for position in range(length):
        step = length - position
        entries = graphs[:, paths[:, position]].permute(1, 2, 0)
        chord = min(step, order - step) - 1
        sums[..., chord] += entries
        squares[..., chord] += entries.square()
    return sums, squares


def _joined(
    graphs: Tensor, paths: Tensor, column: Tensor, sums: Tensor, squares: Tensor, order: int
) -> tuple[Tensor, Tensor]:
    """The sums for every path and the next point that it was given."""
    sums, squares = sums.clone(), squares.clone()
    for position in range(paths.shape[1]):
        step = paths.shape[1] - position
        entries = graphs[:, paths[:, position], column].T
        chord = min(step, order - step) - 1
        sums[..., chord] += entries
        squares[..., chord] += entries.square()
    return sums, squares


def votes(graphs: Tensor, cycles: Tensor, rows: Tensor | None = None) -> Tensor:
    """S of the module's equation for a batch of seeds of one or more cycles.

    Args:
        graphs: (E, N, N).
        cycles: (B, M, p), M cycles per seed.
        rows: the points k to vote for; all by default.

    Returns:
        (B, K, N) log-likelihood ratios.
    """
    sources = cycles.flatten(1)
    targets = cycles.roll(-1, 2).flatten(1)
    total = None
    for graph in graphs:
        left = graph if rows is None else graph[:, rows]
        a, b = left[sources], graph[targets]  # (B, M p, K), (B, M p, N)
        part = RHO * a.mT @ b
        part -= (RHO**2 / 2) * a.square().sum(1)[:, :, None]
        part -= (RHO**2 / 2) * b.square().sum(1)[:, None, :]
        total = part if total is None else total + part
    assert total is not None
    return total / (1 - RHO**2) - 0.5 * math.log(1 - RHO**2) * sources.shape[1] * len(graphs)


def quality(voted: Tensor) -> Tensor:
    """How well a seed explains the points that vote: their mean log-sum over targets. (B, K, N) to (B,)."""
    return voted.logsumexp(2).mean(1)


def _chord_counts(length: int, order: int) -> list[int]:
    """Chords of each length among the first `length` + 1 points of a cycle."""
    counts = [0] * (order // 2)
    for last in range(1, length + 1):
        for step in range(1, last + 1):
            counts[min(step, order - step) - 1] += 1
    return counts


def _agreement(count: int, sums: Tensor, squares: Tensor) -> Tensor:
    """Log-likelihood ratio of `count` standard normal numbers with correlation RHO between all, to independent ones."""
    spread = 1 + (count - 1) * RHO
    value = squares / (1 - RHO) - RHO * sums.square() / ((1 - RHO) * spread)
    return 0.5 * (squares - value) - 0.5 * ((count - 1) * math.log(1 - RHO) + math.log(spread))
