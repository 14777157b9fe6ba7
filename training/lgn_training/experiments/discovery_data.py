"""Experiment `discovery-data`: symmetries of real images, of the papers' filters.

Dictionaries of patches of half of the images are searched, with their co-activation, frequency and amplitude as evidence.
An action must also map them to the dictionary of the other half. The 1,797 digits of
scikit-learn are 8 x 8; every other source is a folder of `--data`, or a trained model of `--source`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.actions import operation_text
from lgn_hf.discovery import Dictionary, Discovery, discover
from lgn_hf.discovery.points import Request, read_held_out, read_points
from lgn_hf.nn import LinearGroup
from lgn_training.experiments.discovery_none import QUICK_EFFORT
from lgn_training.experiments.registry import experiment
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.texts import Row

ORDERS = (2, 4)
ATOMS_PER_DIMENSION = 10
COLOUR = ", colour"  # how the names of sources with three channels end
NEAR = 0.9  # cosine with an element of D_4


@experiment(
    "discovery-data",
    "Which symmetries do images and trained filters have? Found actions, and how well D_4 explains each dictionary",
    options=("source", "data"),
)
def discovery_data(args: argparse.Namespace) -> Row:
    journal = RunJournal(args)
    rows = [
        journal.once({"source": name, "filter": size}, partial(_run, name, source, size, args))
        for name, source, size in tqdm(sources(args), unit="source")
    ]
    return {"rows": rows, "orders": list(ORDERS), "figures": []}


def _run(name: str, source: str, size: int, args: argparse.Namespace) -> Row:
    started = time.process_time()
    asked = request(args, size, channels=3 if name.endswith(COLOUR) else 1)
    points, held_out = read_points(source, asked), read_held_out(source, asked)
    learned = time.process_time()
    orders, trials = (ORDERS[:1], 1) if args.quick else (ORDERS, 3)
    effort = QUICK_EFFORT if args.quick else None
    found = discover(points, orders, args.seed, held_out=held_out, power_trials=trials, effort=effort)
    seconds = {"dictionaries s": learned - started, "search s": time.process_time() - learned}
    return {**facts(found, size), **closedness(points, size), **seconds}


def sources(args: argparse.Namespace) -> list[tuple[str, str, int]]:
    """(name, source, filter size) of everything that is searched."""
    found = [("digits", "digits", 4), ("rotated digits", "rotated:digits", 4)]
    if args.quick:
        return [("digits", "digits", 3)]
    if args.data is not None:
        mnist, cifar = str(args.data / "mnist"), str(args.data / "cifar10")
        found += [("MNIST", mnist, 5), ("CIFAR-10, grey", cifar, 5), (f"CIFAR-10{COLOUR}", cifar, 3)]
        found += [("rotated MNIST", f"rotated:{mnist}", size) for size in (4, 5, 6)]
    found += [(f"filters of {Path(folder).name}", str(folder), 0) for folder in args.source]
    if args.data is not None:
        found += [("rotated MNIST", f"rotated:{args.data / 'mnist'}", 7)]  # takes as long as all others
    return found


def request(args: argparse.Namespace, size: int, channels: int = 1) -> Request:
    atoms = (3 if args.quick else ATOMS_PER_DIMENSION) * channels * size**2
    return Request(size or 5, num_atoms=atoms or None, seed=args.seed, grey=channels == 1)


def facts(found: Discovery, size: int) -> Row:
    """What was found, in words and numbers; `of D_4` counts the elements of that group but the identity."""
    group = grid_group(found.actions[0].matrix.shape[0], size) if found.actions and size else None
    return {
        "points": found.num_points,
        "dimension": found.dim,
        "found": len(found.actions) if found.determined else None,
        "group": found.group.name if found.group is not None else None,
        "of D_4": None if group is None else len({nearest_element(a.matrix, group) for a in found.actions} - {None}),
        "actions": ", ".join(action_words(action) for action in found.actions),
        "held out": max((action.held_out or 0.0 for action in found.actions), default=None),
        "p": min((action.p_value for action in found.actions), default=None),
        "power": found.power.rate if found.power else None,
        "reason": found.reason or None,
    }


def grid_group(dim: int, size: int) -> Tensor:
    """The elements of D_4 but the identity, which move all channels alike: (7, d, d)."""
    channels = torch.eye(dim // size**2, dtype=torch.float64)
    return torch.stack([torch.kron(channels, element) for element in LinearGroup.dihedral(size).elements[1:]])


def nearest_element(matrix: Tensor, group: Tensor) -> int | None:
    """The element of the group with a cosine of at least NEAR with the action; None if there is none."""
    cosines = (matrix * group).sum((1, 2)) / (matrix.norm() * group.flatten(1).norm(dim=1))
    return int(cosines.argmax()) if float(cosines.max()) >= NEAR else None


def action_words(action: Any) -> str:
    if not action.nearest:
        return f"order {action.order}"
    best = action.nearest[0]
    name = operation_text(best["operation"], best["parameters"]) or best["operation"]
    return f"{name} ({best['correlation']:+.2f})"


def closedness(points: Dictionary | Tensor, size: int) -> Row:
    """How well the known symmetries of the grid match the atoms, beside random orthogonal maps that are conjugate to them.

    The residual of a matrix A is sum_k |A w_k - w_pi(k)|^2 / sum_k |w_k|^2 with the best permutation pi. A group has the mean over its
    elements but the identity.
    """
    atoms = points.atoms if isinstance(points, Dictionary) else points
    side = size or round(atoms.shape[1] ** 0.5)
    atoms = atoms.double() - atoms.double().mean(1, keepdim=True)
    atoms = atoms / atoms.norm(dim=1, keepdim=True).clamp_min(1e-12)
    group = grid_group(atoms.shape[1], side)
    generator = torch.Generator().manual_seed(0)
    dim = atoms.shape[1]
    chance = []
    for _ in range(5):
        basis = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator))[0]
        chance.append(mean_residual(atoms, basis @ group @ basis.T))
    return {"residual of D_4": mean_residual(atoms, group), "of random conjugates, least": min(chance)}


def mean_residual(atoms: Tensor, matrices: Sequence[Tensor] | Tensor) -> float:
    residuals = []
    for matrix in matrices:
        moved = atoms @ matrix.T
        costs = moved.square().sum(1)[:, None] + atoms.square().sum(1)[None] - 2 * moved @ atoms.T
        places = linear_sum_assignment(costs.numpy())
        residuals.append(float(costs[places].sum() / atoms.square().sum()))
    return sum(residuals) / len(residuals)
