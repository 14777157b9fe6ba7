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

from .agreement import RHO, agreement
from .evidence import Evidence
from .ladders import consistent_ladders

LONGEST_PATH = 5  # points; longer cycles are seeded by a part
MAX_CHORDS = 8_000_000  # numbers in one step of the beam search


def seeds_of(graphs: Tensor, order: int, width: int, most: int, evidence: Evidence) -> list[Tensor]:
    """The most consistent seeds of an order, one batch per kind: maps of a few points, sources and targets, (B, 2, M)."""
    if order == 2:
        i, k, j, m = consistent_swaps(graphs, width, most, evidence).T
        return [torch.stack([torch.stack([i, j, k, m], 1), torch.stack([j, i, m, k], 1)], 1)]
    paths = consistent_paths(graphs, order, width, most, evidence)
    ladders = consistent_ladders(graphs, order, most, evidence)
    return [_steps(paths[:, None], order), _steps(ladders, order)]


def _steps(paths: Tensor, order: int) -> Tensor:
    """Each point and the next, of one or more paths: (B, paths, points) to (B, 2, M)."""
    if paths.shape[2] == order:  # whole cycles
        return torch.stack([paths.flatten(1), paths.roll(-1, 2).flatten(1)], 1)
    return torch.stack([paths[:, :, :-1].flatten(1), paths[:, :, 1:].flatten(1)], 1)


def consistent_swaps(graphs: Tensor, width: int, most: int, evidence: Evidence) -> Tensor:
    """Two swaps i <-> j, k <-> l that keep the graphs: G[i, k] = G[j, l] and G[i, l] = G[j, k].

    Of the most extreme entries (i, k), all pairs are compared.

    Returns:
        Points i, k, j, l, (B, 4).
    """
    n = graphs.shape[1]
    edges = graphs.square().sum(0).triu(1).flatten().topk(min(int(width**0.5 * 20), n * (n - 1) // 2)).indices
    i, k = edges // n, edges % n
    values = graphs[:, i, k]  # (E, edges)
    kept: list[tuple[Tensor, Tensor]] = []
    for part in torch.arange(len(edges)).split(max(1, MAX_CHORDS // (2 * len(edges) * len(graphs)))):
        both = values[:, part, None], values[:, None, :]
        direct = agreement(2, both[0] + both[1], both[0].square() + both[1].square()).sum(0)  # (part, edges)
        for j, m in ((i, k), (k, i)):
            a = graphs[:, i[part]].index_select(2, m)  # G[i, l]
            b = graphs[:, k[part]].index_select(2, j)  # G[k, j]
            ratio = direct + agreement(2, a + b, a.square() + b.square()).sum(0)
            wrong = part[:, None] >= torch.arange(len(edges))
            for one, other in ((i, j), (i, m), (k, j), (k, m)):
                wrong |= one[part, None] == other
            if evidence.penalty is not None:
                ratio = ratio + evidence.penalty[i[part, None], j] + evidence.penalty[k[part, None], m]
            ratio.masked_fill_(wrong, -math.inf)
            best, chosen = ratio.flatten().topk(min(most, ratio.numel()))
            row, column = part[chosen // len(edges)], chosen % len(edges)
            kept.append((best, torch.stack([i[row], k[row], j[column], m[column]], 1)))
    best = torch.cat([item[0] for item in kept])
    top = best.topk(min(most, int(torch.isfinite(best).sum()))).indices
    return torch.cat([item[1] for item in kept])[top]


def consistent_paths(graphs: Tensor, order: int, width: int, most: int, evidence: Evidence) -> Tensor:
    """Paths along cycles of p points whose chords of equal length agree best, by a beam search.

    The search starts at the most extreme entries of the graphs: few other chords imitate those.

    Args:
        graphs: (E, N, N), symmetric, entries of deviation 1.
        width: of the beam.
        most: paths to return.

    Returns:
        Paths of min(p, LONGEST_PATH) points, (B, points). Whole cycles come once: the smallest index is first, and one
        direction of the two.
    """
    longest = min(order, LONGEST_PATH)
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
    for length in range(2, longest):
        rows, columns = [], []
        values = []
        for part in torch.arange(len(paths)).split(max(1, MAX_CHORDS // (n * count * classes))):
            new_sums, new_squares = _with_chords(graphs, paths[part], sums[part], squares[part], order)
            ratio = graphs.new_zeros(len(part), n)
            for chord, number in enumerate(_chord_counts(length, order)):
                if number > 1:
                    ratio += agreement(number, new_sums[..., chord], new_squares[..., chord]).sum(-1)
            if features.shape[1]:
                both = totals[part][:, None] + features, totals2[part][:, None] + features.square()
                ratio += agreement(length + 1, *both).sum(-1)
            if evidence.labels is not None:
                ratio.masked_fill_(evidence.labels[paths[part, :1]] != evidence.labels, -math.inf)
            everyone = torch.arange(n)
            if longest == order:
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
        top = best.topk(min(width if length < longest - 1 else most, len(best))).indices
        row, column = torch.cat(rows)[top], torch.cat(columns)[top]
        sums, squares = _joined(graphs, paths[row], column, sums[row], squares[row], order)
        totals, totals2 = totals[row] + features[column], totals2[row] + features[column].square()
        paths = torch.cat([paths[row], column[:, None]], 1)
    return paths[:most]


def _with_chords(graphs: Tensor, paths: Tensor, sums: Tensor, squares: Tensor, order: int) -> tuple[Tensor, Tensor]:
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


def votes(graphs: Tensor, seeds: Tensor, rows: Tensor | None = None) -> Tensor:
    """S of the module's equation for a batch of seeds.

    Args:
        graphs: (E, N, N).
        seeds: (B, 2, M), M points and where they go.
        rows: the points k to vote for; all by default.

    Returns:
        (B, K, N) log-likelihood ratios.
    """
    sources, targets = seeds.unbind(1)
    total = None
    for graph in graphs:
        left = graph if rows is None else graph[:, rows]
        a, b = left[sources], graph[targets]  # (B, M, K), (B, M, N)
        part = torch.baddbmm((-RHO / 2) * a.square().sum(1)[:, :, None], a.mT, b)
        part -= (RHO / 2) * b.square().sum(1)[:, None, :]
        total = part if total is None else total + part
    assert total is not None
    bits = 0.5 * math.log(1 - RHO**2) * sources.shape[1] * len(graphs)
    return total.mul_(RHO / (1 - RHO**2)).sub_(bits)


def quality(voted: Tensor) -> Tensor:
    """How well a seed explains the points that vote: the mean over points of their best vote. (B, K, N) to (B,)."""
    return voted.amax(2).mean(1)


def _chord_counts(length: int, order: int) -> list[int]:
    """Chords of each length among the first `length` + 1 points of a cycle."""
    counts = [0] * (order // 2)
    for last in range(1, length + 1):
        for step in range(1, last + 1):
            counts[min(step, order - step) - 1] += 1
    return counts
