"""Ladders: seeds of order p > 2 from two orbits at once.

A ladder has three rungs (c_t, e_t), t = 0, 1, 2, and the symmetry takes each rung to the next. So an entry G[c_s, e_t]
depends on t - s modulo p alone, and so do G[c_s, c_t] and G[e_s, e_t]. For large N this is more to agree than along one
orbit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from .agreement import SQUARES_WEIGHT, sum_weight
from .evidence import Evidence

RUNGS = 400  # the most extreme entries, of which ladders are built
PAIRS, PAIRS_PER_POINT = 12_000, 100  # first two rungs that are continued, at most
MAX_STATES = 200_000

Chord = tuple[str, int]


def consistent_ladders(graphs: Tensor, order: int, most: int, evidence: Evidence) -> Tensor:
    """The ladders whose entries agree best: points (B, 2, 3), the sides c and e.

    Args:
        graphs: (E, N, N), symmetric, entries of deviation 1.
        order: p, at least 3.
    """
    n = graphs.shape[1]
    edges = graphs.square().sum(0).triu(1).flatten().topk(min(RUNGS, n * (n - 1) // 2)).indices
    rungs = torch.stack([edges // n, edges % n])
    rungs = torch.cat([rungs, rungs.flip(0)], 1)  # (2, R), both directions
    first = rungs[:, : len(edges), None]  # one direction of the first rung is enough
    second = rungs[:, None, :]
    ratio = _ratio(graphs, (first, second), order)
    ratio = _allowed(ratio, evidence, (first, second))
    values, chosen = ratio.flatten().topk(min(PAIRS, PAIRS_PER_POINT * n, ratio.numel()))
    chosen = chosen[torch.isfinite(values)]
    pairs = torch.stack([rungs[:, chosen // rungs.shape[1]], rungs[:, chosen % rungs.shape[1]]])  # (2, 2, B)
    kept = []
    for part in pairs.split(max(1, MAX_STATES // (rungs.shape[1] * len(graphs))), dim=2):
        three = (part[0][:, :, None], part[1][:, :, None], second)
        ratio = _allowed(_ratio(graphs, three, order), evidence, three)
        values, chosen = ratio.flatten().topk(min(most, ratio.numel()))
        row, column = chosen // rungs.shape[1], chosen % rungs.shape[1]
        kept.append((values, torch.stack([part[0][:, row], part[1][:, row], rungs[:, column]])))  # (3, 2, B)
    values = torch.cat([item[0] for item in kept])
    top = values.topk(min(most, int(torch.isfinite(values).sum()))).indices
    return torch.cat([item[1] for item in kept], 2)[:, :, top].permute(2, 1, 0)


def _chords(rungs: tuple[Tensor, ...], order: int) -> Iterator[tuple[Chord, Tensor, Tensor]]:
    """The class and the two points of every entry between rungs."""
    for s, one in enumerate(rungs):
        for t, other in enumerate(rungs):
            yield ("across", (t - s) % order), one[0], other[1]
            if s < t:
                length = min(t - s, order - t + s)
                yield ("left", length), one[0], other[0]
                yield ("right", length), one[1], other[1]


def _ratio(graphs: Tensor, rungs: tuple[Tensor, ...], order: int) -> Tensor:
    """Log-likelihood ratio that entries of one class agree, for every broadcast combination of rungs."""
    classes: dict[Chord, list[Tensor]] = {}
    for chord, a, b in _chords(rungs, order):
        classes.setdefault(chord, []).append(_entries(graphs, a, b))
    shape = torch.broadcast_shapes(*(rung[0].shape for rung in rungs))
    squares = graphs.new_zeros(len(graphs), *shape)
    total = graphs.new_zeros(len(graphs), *shape)
    constant = 0.0
    for entries in classes.values():
        if len(entries) > 1:
            sums = entries[0]
            squares.addcmul_(entries[0], entries[0])
            for entry in entries[1:]:
                sums = sums + entry
                squares.addcmul_(entry, entry)
            weight, base = sum_weight(len(entries))
            total.addcmul_(sums, sums, value=weight)
            constant += base
    return total.add_(squares, alpha=SQUARES_WEIGHT).sum(0).add_(constant * len(graphs))


def _entries(graphs: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """graphs[:, a, b] for a column and a row of points, faster; the graphs are symmetric."""
    if a.shape[0] == 1 < a.shape[1]:
        a, b = b, a
    if b.shape[0] > 1 or a.shape[1] > 1:
        return graphs[:, a, b]
    return graphs[:, a[:, 0]].index_select(2, b[0])


def _allowed(ratio: Tensor, evidence: Evidence, rungs: tuple[Tensor, ...]) -> Tensor:
    """-inf where a point occurs twice, and the evidence of the points that move."""
    wrong = torch.zeros_like(ratio, dtype=torch.bool)
    for t, one in enumerate(rungs):
        for other in rungs[:t]:
            wrong |= (one[0] == other[0]) | (one[1] == other[1])
    if evidence.penalty is not None:
        for one, other in pairwise(rungs):
            ratio = ratio + evidence.penalty[one[0], other[0]] + evidence.penalty[one[1], other[1]]
    return ratio.masked_fill(wrong, -math.inf)
