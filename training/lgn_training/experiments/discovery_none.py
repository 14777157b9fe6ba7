"""Experiment `discovery-none`: is a symmetry found where none is?

Clouds of random points, without any symmetry. A symmetry that is found in one is a false discovery. `discover` promises at
most a share alpha of such runs.

A null of its own for each of some hundred clouds takes hours. So all clouds of one setting share the null of the first one, as
a screen. A cloud with a p-value of at most SCREEN against that null is searched again as a user would, with a null
of its own, and this search decides.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import Discovery, Effort, discover
from lgn_hf.discovery.discover import ORDERS
from lgn_hf.discovery.null import Null
from lgn_hf.plotting import INK, PALETTE, RULE, WIDTH, add_legend, axes_at, blank_figure, text_style, tick_style
from lgn_training.data.seeds import seeded_generator
from lgn_training.experiments.registry import experiment, save
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.texts import Row

ALPHAS = (0.001, 0.01, 0.05)
DEFAULT_ALPHA = 0.001
SCREEN = 0.1
# d, N / d, clouds of each kind
SETTINGS: tuple[tuple[int, float, int], ...] = ((9, 1.5, 20), (9, 2.0, 15), (16, 2.0, 10), (25, 2.0, 5))
FIRST_SEED = 2000  # the method and its alpha were chosen with others
QUICK_EFFORT = Effort(width=500, seeds=200, voters=32, sketched=40, polished=4)


def _gaussian(n: int, d: int, generator: Generator) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=generator)


def _non_negative(n: int, d: int, generator: Generator) -> Tensor:
    return _gaussian(n, d, generator).abs()


def _sparse(n: int, d: int, generator: Generator) -> Tensor:
    """Two coordinates of five are on."""
    on = torch.rand(n, d, dtype=torch.float64, generator=generator) < 0.4
    return _gaussian(n, d, generator) * on


def _heavy_tailed(n: int, d: int, generator: Generator) -> Tensor:
    """Student's t with 3 degrees of freedom."""
    square = torch.stack([_gaussian(n, d, generator).square() for _ in range(3)]).mean(0)
    return _gaussian(n, d, generator) / square.sqrt()


def _clustered(n: int, d: int, generator: Generator) -> Tensor:
    """Half of the points lie in tight pairs."""
    points = _gaussian(n, d, generator)
    pairs = n // 4
    points[n - pairs :] = points[:pairs] + 0.1 * points[n - pairs :]
    return points


def _dense(n: int, d: int, generator: Generator) -> Tensor:
    """A continuous family with three parameters, which are not alike: a random layer of tanh."""
    exponents = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    parameters = 2 * torch.rand(n, 3, dtype=torch.float64, generator=generator) ** exponents - 1
    weights, offsets = 2 * _gaussian(3, d, generator), _gaussian(1, d, generator)
    return (parameters @ weights + offsets).tanh()


KINDS: dict[str, Callable[[int, int, Generator], Tensor]] = {
    "gaussian": _gaussian,
    "non-negative": _non_negative,
    "sparse": _sparse,
    "heavy-tailed": _heavy_tailed,
    "clustered": _clustered,
    "dense": _dense,
}


@experiment(
    "discovery-none", "Is a symmetry found where none is? False discoveries at each alpha, and the smallest p-value"
)
def discovery_none(args: argparse.Namespace) -> Row:
    journal = RunJournal(args)
    settings = [(kind, *setting) for setting in SETTINGS for kind in KINDS]
    if args.quick:
        settings = [("gaussian", 9, 2.0, 2), ("clustered", 9, 2.0, 2)]
    runs, rows = [], []
    for kind, d, ratio, clouds in tqdm(settings, desc="discovery-none", unit="setting"):
        some = _runs(kind, d, round(ratio * d), clouds, journal, args)
        runs += some
        rows.append({"points": kind, "d": d, "N / d": ratio, **_summary(some)})
    rows.append({"points": "all", "d": None, "N / d": None, **_summary(runs)})
    figures = [save(args, "discovery-none", p_value_plot(runs))]
    return {"rows": rows, "screen": SCREEN, "alpha": DEFAULT_ALPHA, "figures": figures}


def _runs(kind: str, d: int, n: int, clouds: int, journal: RunJournal, args: argparse.Namespace) -> list[Row]:
    """The smallest p-value of each cloud, and how many actions were found."""
    shared: dict[int, list[float]] | None = None
    runs = []
    for seed in range(args.seed + FIRST_SEED, args.seed + FIRST_SEED + clouds):
        points = KINDS[kind](n, d, seeded_generator(seed))
        run = journal.once(
            {"points": kind, "d": d, "N": n, "seed": seed}, partial(_run, points, seed, shared, args.quick)
        )
        shared = shared or {int(order): draws for order, draws in run["null"].items()} or None
        runs.append(run)
    return runs


def _run(points: Tensor, seed: int, shared: dict[int, list[float]] | None, quick: bool) -> Row:
    def searched(null: dict[int, list[float]] | None) -> tuple[Discovery, float]:
        orders, effort = ((2, 3), QUICK_EFFORT) if quick else (ORDERS, None)
        found = discover(points, orders, seed, null=null, power_trials=0, effort=effort)
        return found, smallest_p_value(found.null, found.best) if found.determined else 1.0

    found, p = searched(shared)
    if shared is None:  # the first cloud draws the null
        null = {str(order): draws for order, draws in found.null.items()}
        return {"p": p, "found": len(found.actions), "own null": True, "null": null}
    repeated = p <= SCREEN
    if repeated:
        found, p = searched(None)
    return {"p": p, "found": len(found.actions), "own null": repeated}


def smallest_p_value(null: dict[int, list[float]], best: dict[int, float]) -> float:
    """The p-value of the best symmetry of any order, corrected for the number of orders."""
    distribution = Null(null)
    return min(1.0, len(best) * min(distribution.p_value(order, value) for order, value in best.items()))


def _summary(runs: Sequence[Row]) -> Row:
    return {
        "runs": len(runs),
        "false discoveries": sum(run["found"] > 0 for run in runs),
        **{f"p <= {alpha:g}": sum(run["p"] <= alpha for run in runs) for alpha in ALPHAS},
        "smallest p": min(run["p"] for run in runs),
        "median p": statistics.median(run["p"] for run in runs),
    }


def p_value_plot(runs: Sequence[Row]) -> Figure:
    """The share of runs with a p-value of at most x, for each kind of points; an honest test stays below the diagonal.

    P-values above `SCREEN` are those of the screen.
    """
    figure = blank_figure(WIDTH, 3.7)
    ax = axes_at(figure, 0.75, 1.25, WIDTH - 1.0, 2.3)
    colours = dict(zip(KINDS, PALETTE, strict=False))
    kinds = [kind for kind in KINDS if any(run["points"] == kind for run in runs)]
    for kind in kinds:
        values = sorted(run["p"] for run in runs if run["points"] == kind)
        ax.step(values, [(i + 1) / len(values) for i in range(len(values))], where="post", color=colours[kind], lw=1.4)
    ax.plot([1e-4, 1], [1e-4, 1], color=RULE, lw=1.0)
    ax.axvline(DEFAULT_ALPHA, color=INK, lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlim=(7e-4, 1), ylim=(3e-3, 1.1))
    ax.set_xlabel("smallest p-value of a run; dotted: the default alpha", **text_style(INK))
    ax.set_ylabel("share of runs", **text_style(INK))
    ax.grid(color=RULE, lw=0.4, alpha=0.5)
    tick_style(ax)
    marks = {kind: {"color": colours[kind], "lw": 1.4} for kind in kinds}
    add_legend(figure, marks | {"as often as promised": {"color": RULE, "lw": 1.0}}, columns=3)
    return figure
