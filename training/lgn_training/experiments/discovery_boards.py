"""Experiment `discovery-boards`: the symmetries of tic-tac-toe, from its end positions.

Of the 362,880 permutations of the nine cells, exactly 8 keep the set of the 958 end positions and their results: the group
D_4 of the square. Nothing tells the search which cells are neighbours. A random half of the positions is not closed under
the group: half of the positions have lost the one that they are matched to. So an action of a half is judged by the 40 % that
it matches best.

The halves share one null, which is drawn from the first of them.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import Discovery, discover
from lgn_hf.nn import LinearGroup
from lgn_training.data.seeds import seeded_generator
from lgn_training.experiments.discovery_none import QUICK_EFFORT, smallest_p_value
from lgn_training.experiments.registry import experiment
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.experiments.tic_tac_toe import end_positions
from lgn_training.texts import Row

ORDERS = (2, 4)
COVERAGE = {"half": 0.4, "all": 1.0}  # share of the positions that must be matched; half of a half are expected
NULL_DRAWS = {"half": 8, "all": 5}
HALVES = 5
QUICK_BOARDS = 120


@experiment("discovery-boards", "Are the symmetries of tic-tac-toe found from its end positions? Of 7, and others")
def discovery_boards(args: argparse.Namespace) -> Row:
    boards, won = end_positions()
    journal = RunJournal(args)
    nulls: dict[str, dict[str, list[float]]] = {}
    rows = []
    samples = [("half", seed) for seed in range(args.seed, args.seed + HALVES)] + [("all", args.seed)]
    for share, seed in tqdm(samples[:1] if args.quick else samples, desc="discovery-boards", unit="search"):
        chosen = torch.arange(len(boards))
        if share == "half":
            count = QUICK_BOARDS if args.quick else len(boards) // 2
            chosen = torch.randperm(len(boards), generator=seeded_generator(seed))[:count]
        search = partial(
            _searched,
            boards[chosen],
            won[chosen],
            seed,
            5 if args.quick else NULL_DRAWS[share],
            COVERAGE[share],
            nulls.get(share),
            args.quick,
        )
        row = journal.once({"boards": share, "seed": seed}, search)
        nulls.setdefault(share, row.pop("null"))
        rows.append(row)
    return {"rows": rows, "orders": list(ORDERS), "null draws": NULL_DRAWS, "coverage": COVERAGE, "figures": []}


def _searched(
    boards: Tensor,
    won: Tensor,
    seed: int,
    null_draws: int,
    coverage: float,
    null: dict[str, list[float]] | None,
    quick: bool,
) -> Row:
    found = discover(
        boards,
        ORDERS,
        seed,
        labels=won,
        coverage=coverage,
        null_draws=null_draws,
        null={int(order): draws for order, draws in null.items()} if null else None,
        power_trials=0,
        effort=QUICK_EFFORT if quick else None,
    )
    return {
        "N": found.num_points,
        **score(found),
        "smallest p": smallest_p_value(found.null, found.best),
        "null": {str(order): draws for order, draws in found.null.items()},
    }


def score(found: Discovery) -> Row:
    """How many of the seven actions of the square were found, and how many others.

    An action counts only if it is the permutation of the cells when its entries are rounded.
    """
    square = LinearGroup.dihedral(3).elements[1:].round()
    kept = found.group.elements if found.group is not None else torch.stack([torch.eye(9, dtype=torch.float64)])
    matrices = [action.matrix for action in found.actions]
    right = [any(torch.equal(matrix.round(), a) for a in square) for matrix in matrices]
    distinct = {tuple(m.round().flatten().tolist()) for m, hit in zip(matrices, right, strict=True) if hit}
    return {
        "found": len(distinct),
        "others": len(matrices) - sum(right),
        "group": found.group.name if found.group is not None else "none",
        "off": max((float((m - m.round()).abs().max()) for m in kept), default=0.0),
        "largest p": max((action.p_value for action in found.actions), default=1.0),
    }
