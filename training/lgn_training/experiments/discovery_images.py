"""Experiment `discovery-images`: are actions found that were planted in images?

Images of 4 x 4 pixels are sparse sums of the orbits of K basis filters under one action A (`planted_images`), with noise. There are
three filters for each dimension, so that A is determined. `discover` sees a dictionary that was learned from the images, somewhat larger
than the planted one. Beside it stand four searches by gradient descent (`gradient_searches`). Those that learn orbits are told the order of A and
the number of basis filters.

All seeds of one setting share a null, which is drawn from a dictionary of further images.

An action counts as found if an element of the planted group is near: |A - B| / |B| < NEAR. For `discover`, the whole group must be found,
every element near, and nothing else.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import Dictionary, discover, learn_dictionary
from lgn_hf.model.filters import vec
from lgn_training.experiments.discovery_none import QUICK_EFFORT
from lgn_training.experiments.gradient_searches import STEPS, distribution_search, orbit_search
from lgn_training.experiments.planted_images import Planted, Setting, plant
from lgn_training.experiments.registry import experiment
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.texts import Row

NEAR = 0.2
ORDERS = (2, 3, 4)
NUM_ATOMS, DICTIONARY_STEPS, IMAGES = 64, 800, 20_000
NULL_DRAWS = 16
NEVER = 1e-9  # an alpha that asks for no more draws
QUICK_ATOMS, QUICK_STEPS, QUICK_DRAWS = 24, 20, 5
SYMMETRIES = {"rotation": 4, "random": 4}  # and the orders
NOISES = (0.1, 0.3)
FILTERS = 48
METHODS = ("discover", "free", "cyclic", "soft permutation", "distribution")
SEEDS = {"discover": 10}  # by method
OTHER_SEEDS = 2
FIRST_SEED = 1000


@experiment(
    "discovery-images",
    "Are actions found that were planted in images? By `discover`, and by gradient descent; shares of seeds",
)
def discovery_images(args: argparse.Namespace) -> Row:
    journal = RunJournal(args)
    rows = []
    for method, setting in tqdm(planned(args.quick), desc="discovery-images", unit="setting"):
        seeds = 1 if args.quick else SEEDS.get(method, OTHER_SEEDS)
        null = _null(setting, journal, args) if method == "discover" else None
        runs = [
            journal.once(
                {"method": method, **asdict(setting), "seed": seed},
                partial(_run, method, setting, seed, null, args.quick),
            )
            for seed in range(args.seed + FIRST_SEED, args.seed + FIRST_SEED + seeds)
        ]
        rows.append(_summary(method, setting, runs))
    return {"rows": rows, "near": NEAR, "atoms": NUM_ATOMS, "orders": list(ORDERS), "figures": []}


def planned(quick: bool) -> list[tuple[str, Setting]]:
    """Every method on every setting."""
    if quick:
        return [(method, Setting("rotation", 6, 4, noise=0.1, images=500, rate=0.1)) for method in METHODS]
    settings = [
        Setting(symmetry, FILTERS // order, order, noise=noise, images=IMAGES, rate=2.5 / FILTERS)
        for symmetry, order in SYMMETRIES.items()
        for noise in NOISES
    ]
    return [(method, setting) for method in METHODS for setting in settings]


def _null(setting: Setting, journal: RunJournal, args: argparse.Namespace) -> dict[int, list[float]]:
    """The mismatches of searches without symmetry."""

    def draw() -> Row:
        dictionary = _dictionary(rows_of(plant(setting, args.seed)), args.seed, args.quick)
        draws = QUICK_DRAWS if args.quick else NULL_DRAWS
        found = discover(
            dictionary, power_trials=0, null_draws=draws, alpha=NEVER, seed=args.seed, **_search(args.quick)
        )
        return {"null": {str(order): values for order, values in found.null.items()}}

    row = journal.once({"null of": asdict(setting), "seed": args.seed}, draw)
    return {int(order): draws for order, draws in row["null"].items()}


def _search(quick: bool) -> dict[str, Any]:
    return {"orders": ORDERS[:1], "effort": QUICK_EFFORT} if quick else {"orders": ORDERS}


def _dictionary(data: Tensor, seed: int, quick: bool) -> Dictionary:
    atoms, steps = (QUICK_ATOMS, QUICK_STEPS) if quick else (NUM_ATOMS, DICTIONARY_STEPS)
    return learn_dictionary(data, atoms, seed, steps=steps)


def rows_of(planted: Planted) -> Tensor:
    return vec(planted.images).flatten(1)


def _run(method: str, setting: Setting, seed: int, null: dict[int, list[float]] | None, quick: bool) -> Row:
    planted = plant(setting, seed)
    data = rows_of(planted)
    group = planted_group(planted, setting.group_order)
    steps = QUICK_STEPS if quick else STEPS
    if method not in ("discover", "distribution"):
        matrices = orbit_search(method, data, setting.num_groups, setting.group_order, seed, steps)
        return _nearest(matrices, group)
    dictionary = _dictionary(data, seed, quick)
    if method == "distribution":
        return _nearest(distribution_search(data, dictionary.atoms.float(), seed, steps), group)
    found = discover(dictionary, seed=seed, power_trials=0, null=null, **_search(quick))
    errors = [nearest_error([action.matrix for action in found.actions], b) for b in group]
    whole = len(found.actions) == len(group) and max(errors) < NEAR
    return {"found": whole, "error": round(statistics.mean(errors), 5), "actions": len(found.actions)}


def _nearest(matrices: Sequence[Tensor], group: Sequence[Tensor]) -> Row:
    error = min(nearest_error(matrices, b) for b in group)
    return {"found": error < NEAR, "error": round(error, 5), "actions": None}


def planted_group(planted: Planted, order: int) -> list[Tensor]:
    """The powers A, ..., A^{p-1} of the planted action."""
    return [torch.linalg.matrix_power(planted.generator.double(), power) for power in range(1, order)]


def nearest_error(matrices: Sequence[Tensor], b: Tensor) -> float:
    """|A - B| / |B| of the matrix A nearest to B; 1 if there is none."""
    return min((float((a.double() - b).norm() / b.norm()) for a in matrices), default=1.0)


def _summary(method: str, setting: Setting, runs: Sequence[Row]) -> Row:
    return {
        "method": method,
        "symmetry": setting.symmetry,
        "p": setting.group_order,
        "filters": setting.num_groups * setting.group_order,
        "noise": setting.noise,
        "seeds": len(runs),
        "found": statistics.mean(run["found"] for run in runs),
        "median error": statistics.median(run["error"] for run in runs),
    }
