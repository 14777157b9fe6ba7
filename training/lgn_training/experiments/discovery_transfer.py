"""Experiment `discovery-transfer`: do the actions found in one data set explain the dictionary of another?

Each data set gets two dictionaries of patches, of one half of its images each. An action A explains it if it maps the one to the other
about as well as they match anyway: `relative_cost`, cost(A) / cost(1), is at most MOST_COST. Beside the found actions stand random
orthogonal maps that are conjugate to them, which explain nothing.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.discovery import Dictionary, discover
from lgn_hf.discovery.held_out import MOST_COST, relative_cost
from lgn_hf.discovery.points import Request, read_held_out, read_points
from lgn_training.experiments.discovery_data import action_words
from lgn_training.experiments.discovery_none import QUICK_EFFORT
from lgn_training.experiments.registry import experiment, save
from lgn_training.texts import Row

SIZE, ATOMS_PER_DIMENSION, ORDERS = 4, 10, (2, 4)

COLUMNS = ("found in", "action", "explains", "relative cost", "of a random conjugate")

Halves = tuple[Tensor, Tensor]
Named = list[tuple[str, Tensor]]  # actions, and their words, which two may share


@experiment(
    "discovery-transfer",
    "Do the actions found in one data set explain the dictionary of another?",
    options=("data",),
)
def discovery_transfer(args: argparse.Namespace) -> Row:
    size, orders = (3, ORDERS[1:]) if args.quick else (SIZE, ORDERS)
    found: dict[str, Named] = {}
    halves: dict[str, Halves] = {}
    for name, source in tqdm(sources(args).items(), unit="source"):
        request = Request(size, num_atoms=(3 if args.quick else ATOMS_PER_DIMENSION) * size**2, seed=args.seed)
        points, held_out = read_points(source, request), read_held_out(source, request)
        assert isinstance(points, Dictionary)
        assert held_out is not None
        halves[name] = points.atoms.double(), held_out.atoms.double()
        effort = QUICK_EFFORT if args.quick else None
        result = discover(points, orders, args.seed, held_out=held_out, power_trials=0, effort=effort)
        found[name] = [(action_words(action), action.matrix) for action in result.actions]
    rows = []
    for one, actions in found.items():
        rows += [] if actions else [dict.fromkeys(COLUMNS) | {"found in": one, "action": "none"}]
        for words, matrix in actions:
            for other, both in halves.items():
                costs = {"relative cost": relative_cost(*both, matrix)}
                costs |= {"of a random conjugate": relative_cost(*both, conjugate(matrix, args.seed))}
                rows.append({"found in": one, "action": words, "explains": other, **costs})
    return {"rows": rows, "filter": size, "most": MOST_COST, "figures": [figure(args, found, halves)] if found else []}


def sources(args: argparse.Namespace) -> dict[str, str]:
    if args.quick:
        return {"rotated digits": "rotated:digits"}
    named = {"rotated digits": "rotated:digits", "digits": "digits"}
    if args.data is not None:
        mnist, cifar = str(args.data / "mnist"), str(args.data / "cifar10")
        named |= {"rotated MNIST": f"rotated:{mnist}", "MNIST": mnist}
        named |= {"rotated CIFAR-10": f"rotated:{cifar}", "CIFAR-10": cifar}
    return named


def conjugate(matrix: Tensor, seed: int) -> Tensor:
    """The same action in random coordinates."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(matrix.shape, dtype=matrix.dtype, generator=generator))[0]
    return basis @ matrix @ basis.T


def figure(args: argparse.Namespace, found: dict[str, Named], halves: dict[str, Halves]) -> str:
    """The largest relative cost of the actions of each row, on the dictionary of each column."""
    from matplotlib.figure import Figure

    rows = [name for name, actions in found.items() if actions]
    costs = [[max(relative_cost(*both, a) for _, a in found[name]) for both in halves.values()] for name in rows]
    drawing = Figure((1.2 * len(halves) + 2, 0.7 * len(rows) + 1.8), layout="constrained")
    axes = drawing.subplots()
    image = axes.imshow(costs or [[1.0] * len(halves)], cmap="viridis_r", vmin=1, vmax=2)
    for i, row in enumerate(costs):
        for j, cost in enumerate(row):
            axes.text(j, i, f"{cost:.2f}", ha="center", va="center", color="white" if cost > 1.5 else "black")
    axes.set_xticks(range(len(halves)), list(halves), rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), [f"{name}: {len(found[name])} actions" for name in rows])
    axes.set_xlabel("dictionary of")
    axes.set_ylabel("found in")
    drawing.colorbar(image, label=f"largest cost(A) / cost(1); at most {MOST_COST} explains")
    return save(args, "transfer", drawing)
