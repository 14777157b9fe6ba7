"""Experiment `discovery-atoms`: are groups found that were planted in a cloud of points?

A group acts on d dimensions in a random basis. N points are random orbits of it, in random order, each with noise of
a share of its norm (`lgn_hf.discovery.plant`). The group counts as found if `discover` returns it whole, every element
near a planted one, and nothing else.

Two things make it affordable. The searches are those for the orders of the generators alone; their threshold is corrected
for all seven orders that `discover` tries by default, so that a p-value means the same. And all groups and seeds of one N and
d share a null, drawn from the first cloud: 8 draws of each order as in `discover`, and 16 at d = 9, where p-values are
nearer to alpha and `discover` takes more draws.

The error is |A - B| / |B| of a planted element B and the found element A nearest to it, the mean over the group. It
does not depend on the choice of generators. With noise, no method reaches 0: the error of an estimate from N pairs in d
dimensions is about noise / sqrt(N / d). `told` is the error of the most likely matrices where the true permutation is told.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import cyclic_table, discover, plant
from lgn_hf.discovery.discover import ORDERS
from lgn_hf.discovery.refine import refined
from lgn_hf.nn import LinearGroup
from lgn_hf.plotting import INK, PALETTE, RULE, WIDTH, add_legend, axes_at, blank_figure, text_style, tick_style
from lgn_training.data.seeds import seeded_generator
from lgn_training.experiments.discovery_none import QUICK_EFFORT
from lgn_training.experiments.registry import experiment, save
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.texts import Row

ALPHA = 0.001
NULL_DRAWS = {9: 16, 16: 8, 25: 8, 36: 8}  # by dimension
NEVER = 1e-9  # an alpha that asks for no more draws
FIRST_SEED = 1000  # the method was made with others, but for the rule on actions outside the group (`discover`)
NEAR = 0.5  # relative error below which a found element is a planted one
GENERATORS = {  # the orders of the generators
    **{f"C_{order}": (order,) for order in range(2, 9)},
    "D_4": (2, 4),
    "S_3": (2, 3),
    "Z_2 x Z_2": (2,),
}
SEEDS = {9: 20, 16: 20, 25: 20, 36: 5}  # by dimension
CURVE_GROUPS, CURVE_DIM, CURVE_SEEDS = ("C_2", "C_5", "D_4"), 16, 20
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
RATIOS = (1.5, 3.0, 6.0)


@dataclass(frozen=True)
class Cell:
    """What is planted: a group in d dimensions, N = ratio d points, noise as a share of each norm."""

    group: str
    d: int
    ratio: float = 3.0
    noise: float = 0.2

    @property
    def num_points(self) -> int:
        return round(self.ratio * self.d)


@experiment(
    "discovery-atoms",
    "Are planted groups found? Shares of seeds; errors of the actions, also if the permutation is told",
)
def discovery_atoms(args: argparse.Namespace) -> Row:
    journal = RunJournal(args)
    rows = []
    for cell, seeds in tqdm(cells(args.quick), desc="discovery-atoms", unit="setting"):
        null = _null(cell, journal, args)
        runs = [
            journal.once(asdict(cell) | {"seed": seed}, partial(_run, cell, seed, null, args.quick))
            for seed in range(args.seed + FIRST_SEED, args.seed + FIRST_SEED + seeds)
        ]
        rows.append(_summary(cell, runs))
    figures = [save(args, "discovery-atoms", curves(rows))]
    return {"rows": rows, "alpha": ALPHA, "null_draws": NULL_DRAWS, "figures": figures}


def cells(quick: bool) -> list[tuple[Cell, int]]:
    """Every setting and its number of seeds: all groups at N = 3 d and noise 0.2, then noise, then N / d."""
    if quick:
        return [(Cell("C_2", 9), 2), (Cell("C_2", 9, noise=0.0), 2)]
    base = [Cell(group, CURVE_DIM) for group in CURVE_GROUPS]
    curve = [replace(cell, noise=noise) for noise in NOISES for cell in base]
    curve += [replace(cell, ratio=ratio) for ratio in RATIOS for cell in base]
    planned = dict.fromkeys(curve, CURVE_SEEDS)
    planned |= {Cell(group, d): seeds for d, seeds in SEEDS.items() for group in GENERATORS}
    return sorted(planned.items(), key=lambda item: item[0].d)


def table_of(group: str) -> Tensor:
    """The Cayley table."""
    if group.startswith("C_"):
        return cyclic_table(int(group[2:]))
    return LinearGroup.dihedral(5, {"D_4": 4, "S_3": 3, "Z_2 x Z_2": 2}[group]).table


def _null(cell: Cell, journal: RunJournal, args: argparse.Namespace) -> dict[int, list[float]]:
    """The mismatches of searches without symmetry at this N and d, for all orders."""
    orders = (2,) if args.quick else ORDERS

    def draw() -> Row:
        points, _ = plant(cyclic_table(2), cell.d, cell.num_points, 0.2, seeded_generator(args.seed + FIRST_SEED - 1))
        effort = QUICK_EFFORT if args.quick else None
        found = discover(
            points,
            orders,
            args.seed,
            null_draws=5 if args.quick else NULL_DRAWS[cell.d],
            alpha=NEVER,
            power_trials=0,
            effort=effort,
        )
        return {"null": {str(order): draws for order, draws in found.null.items()}}

    row = journal.once({"null of": [cell.d, cell.num_points], "seed": args.seed}, draw)
    return {int(order): draws for order, draws in row["null"].items()}


def _run(cell: Cell, seed: int, null: dict[int, list[float]], quick: bool) -> Row:
    table, orders = table_of(cell.group), GENERATORS[cell.group]
    points, actions = plant(table, cell.d, cell.num_points, cell.noise, seeded_generator(seed))
    clean, _ = plant(table, cell.d, cell.num_points, 0.0, seeded_generator(seed))
    found = discover(
        points,
        orders,
        seed,
        alpha=ALPHA * len(orders) / len(ORDERS),
        null=null,
        power_trials=0,
        effort=QUICK_EFFORT if quick else None,
    )
    matrices = [action.matrix for action in found.actions]
    errors = [min((relative_error(a, b) for a in matrices), default=1.0) for b in actions[1:]]
    others = sum(min(relative_error(a, b) for b in actions[1:]) > NEAR for a in matrices)
    whole = found.group is not None and found.group.order == len(table) and max(errors) < NEAR
    told = [relative_error(a, b) for a, b in zip(told_actions(points, clean, actions), actions[1:], strict=True)]
    return {
        "found": whole and not others,
        "others": others,
        "error": round(statistics.mean(errors), 5),
        "told": round(statistics.mean(told), 5),
    }


def relative_error(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def told_actions(points: Tensor, clean: Tensor, actions: Tensor) -> list[Tensor]:
    """The most likely matrix of every element but the identity, given the true permutation and eigenvalues.

    Args:
        points: (N, d), with noise.
        clean: (N, d), the same without noise, from which the permutations follow.
        actions: (|G|, d, d).
    """
    identity = torch.eye(len(actions[0]), dtype=actions.dtype)
    told = []
    for action in actions[1:]:
        permutation = torch.cdist(clean @ action.T, clean).argmin(1)
        power, order = action, 1
        while not torch.allclose(power, identity, atol=1e-6):
            power, order = power @ action, order + 1
        told.append(refined(points, permutation, order, action)[0])
    return told


def _summary(cell: Cell, runs: Sequence[Row]) -> Row:
    def below(most: float) -> float:
        return statistics.mean(run["found"] and run["error"] < most for run in runs)

    return {
        "group": cell.group,
        "d": cell.d,
        "N / d": cell.ratio,
        "noise": cell.noise,
        "seeds": len(runs),
        "found": statistics.mean(run["found"] for run in runs),
        "error < 20 %": below(0.2),
        "error < 5 %": below(0.05),
        "with others": sum(run["others"] > 0 for run in runs),
        "median error": statistics.median(run["error"] for run in runs),
        "told": statistics.median(run["told"] for run in runs),
    }


def curves(rows: Sequence[Row]) -> Figure:
    """Shares of seeds and errors, against noise at N = 3 d and against N / d at noise 0.2."""
    figure = blank_figure(WIDTH, 5.4)
    names = list(dict.fromkeys(row["group"] for row in rows if row["group"] in CURVE_GROUPS))
    colours = dict(zip(names, PALETTE, strict=False))
    dim = CURVE_DIM if any(row["d"] == CURVE_DIM for row in rows) else rows[0]["d"]
    for column, (axis, fixed, value) in enumerate((("noise", "N / d", 3.0), ("N / d", "noise", 0.2))):
        top, bottom = (axes_at(figure, 0.65 + 3.85 * column, height, 3.25, 1.85) for height in (3.15, 0.95))
        for group in names:
            shown = [row for row in rows if (row["group"], row["d"], row[fixed]) == (group, dim, value)]
            shown.sort(key=lambda row: row[axis])
            style: dict[str, Any] = {"color": colours[group], "lw": 1.4, "marker": "o", "ms": 4}
            dashed: dict[str, Any] = style | {"ls": "--", "mfc": "none"}
            dotted: dict[str, Any] = style | {"ls": ":", "marker": ""}
            x = [row[axis] for row in shown]
            top.plot(x, [row["found"] for row in shown], **style)
            top.plot(x, [row["error < 20 %"] for row in shown], **dashed)
            bottom.plot(x, [row["median error"] for row in shown], **style)
            bottom.plot(x, [row["told"] for row in shown], **dotted)
        top.set_title(f"d = {dim}, {fixed} = {value:g}", **text_style(INK, 9.5))
        top.set_ylim(-0.05, 1.05)
        bottom.set_ylim(0, 1.05)
        bottom.set_xlabel(axis, **text_style(INK))
        for ax, label in ((top, "share of seeds"), (bottom, "median error")):
            ax.set_ylabel(label if column == 0 else "", **text_style(INK))
            ax.grid(color=RULE, lw=0.4, alpha=0.5)
            tick_style(ax)
    marks = {group: {"color": colours[group], "lw": 1.4, "marker": "o"} for group in names}
    lines = {
        "found; its error": {"color": INK, "lw": 1.4, "marker": "o"},
        "found with error < 20 %": {"color": INK, "lw": 1.4, "ls": "--", "marker": "o", "mfc": "none"},
        "error if the permutation is told": {"color": INK, "lw": 1.4, "ls": ":"},
    }
    add_legend(figure, marks | lines, columns=3)
    return figure
