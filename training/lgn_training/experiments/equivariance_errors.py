"""Experiment `equivariance`: how far the layers of `lgn_hf.nn` are from equivariance, before and after training."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgn_hf.nn import (
    LearnedGroup,
    LinearGroup,
    OrbitConv2d,
    OrbitConvTranspose2d,
    OrbitNorm2d,
    OrbitPool2d,
    equivariance_error,
)
from lgn_hf.nn.learned_groups import GroupModule
from lgn_training.data import load_data
from lgn_training.experiments.registry import data_facts, experiment
from lgn_training.texts import Row

GROUPS: dict[str, Callable[[int], LinearGroup]] = {
    "C_2": lambda size: LinearGroup.rotations(size, 2),
    "C_4": LinearGroup.rotations,
    "mirror": LinearGroup.reflections,
    "Z_2 x Z_2": lambda size: LinearGroup.dihedral(size, 2),
    "D_4": LinearGroup.dihedral,
}
SIZES = (2, 3, 4, 5)
ORBITS = 3
EQUIVARIANT = "all symmetries of the grid"


@experiment(
    "equivariance",
    "How far from equivariance are the layers? Largest relative error over groups, their elements and filter sizes",
    options=("dataset",),
)
def equivariance_errors(args: argparse.Namespace) -> Row:
    data = load_data(args.dataset, seed=args.seed, train_val_split=0)
    images, labels = data.train.images.double() / 255, data.train.labels
    assert labels is not None
    steps = 3 if args.quick else 100
    worst: dict[tuple[str, str], Row] = {}
    for make in GROUPS.values():
        for size in SIZES[1:2] if args.quick else SIZES:
            group = make(size)
            measure(worst, EQUIVARIANT, group, group, images, labels, steps, args.seed)
    rotations = LinearGroup.rotations(3)
    learned = LearnedGroup(LinearGroup.cyclic(4, 9))
    measure(worst, "a learned C_4", learned, rotations, images, labels, steps, args.seed)
    return {
        "rows": list(worst.values()),
        "steps": steps,
        "groups": list(GROUPS),
        "filter_sizes": list(SIZES),
        "data": data_facts(data),
        "figures": [],
    }


def measure(
    worst: dict[tuple[str, str], Row],
    actions: str,
    group: LinearGroup | GroupModule,
    symmetries: LinearGroup,
    images: Tensor,
    labels: Tensor,
    steps: int,
    seed: int,
) -> None:
    """Train a network over `group`, and keep the largest error of each of its layers for `symmetries`."""
    torch.manual_seed(seed)
    net = make_network(group, images.shape[1], int(labels.max()) + 1)
    for trained in (False, True):
        if trained:
            train(net, images.float(), labels, steps)
        for dtype in (torch.float64, torch.float32):
            column = f"{str(dtype).removeprefix('torch.')}, {'trained' if trained else 'untrained'}"
            net.to(dtype).eval()
            for layer, error in layer_errors(net, symmetries, images[:16].to(dtype)).items():
                row = worst.setdefault((actions, layer), {"actions": actions, "layer": layer})
                row[column] = max(error, row.get(column, 0.0))


def make_network(group: LinearGroup | GroupModule, channels: int, classes: int) -> nn.Sequential:
    """A classifier that has every layer once."""
    maps, size = ORBITS * group.order, group.filter_size
    assert size is not None
    return nn.Sequential(
        OrbitConv2d(channels, maps, size, group, padding=size // 2),
        OrbitNorm2d(maps, group),
        nn.ReLU(),
        OrbitConv2d(maps, maps, size, group, kind="regular", padding=size // 2),
        nn.ReLU(),
        OrbitConvTranspose2d(maps, maps, size, group, kind="regular", stride=2),
        nn.ReLU(),
        OrbitConv2d(maps, maps, 1, group, kind="regular"),
        OrbitPool2d(group),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(ORBITS, classes),
    )


def train(net: nn.Sequential, images: Tensor, labels: Tensor, steps: int) -> None:
    net.float().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        batch = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        F.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()


@torch.no_grad()
def layer_errors(net: nn.Sequential, group: LinearGroup, images: Tensor) -> dict[str, float]:
    """The largest error of each orbit layer on what it gets in the network, and that of the network."""
    errors = {}
    maps = images
    for layer in net:
        if hasattr(layer, "transforms"):
            kind = f", {layer.kind}" if isinstance(layer, (OrbitConv2d, OrbitConvTranspose2d)) else ""
            single = ", 1 x 1" if getattr(layer, "kernel_size", None) == (1, 1) else ""
            name = f"{type(layer).__name__}{kind}{single}"
            errors[name] = float(equivariance_error(layer, group, maps).max())
        maps = layer(maps)
    errors["the network"] = float(equivariance_error(net, group, images, output="invariant").max())
    return errors
