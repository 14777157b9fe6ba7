"""Part `orbit_networks`: whole networks over the rotations by 90 degrees against the same networks of other layers."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgn_hf import LGNConvNetConfig, LGNConvNetForImageClassification
from lgn_hf.nn import LinearGroup, OrbitConv2d, OrbitNorm2d, OrbitPool2d
from lgn_training.benchmark.contenders import Contender, make_batch, plain_loss
from lgn_training.benchmark.e2cnn_twins import e2cnn_network
from lgn_training.benchmark.timing import alternate, matrix_rate, medians, own_clock, ratios
from lgn_training.engine.memory import keep_freed_memory
from lgn_training.texts import Row

ORBITS, LAYERS, SIDE, BATCH_SIZE = 10, 6, 28, 128
POOLED = (1, 3)  # after these layers the maps are halved
ORDER = 4
KINDS = {  # of operations, by parts of the names that the profiler gives them
    "convolutions": ("convolution",),
    "normalisation": ("batch_norm", "NormalizeOrbits", "addcmul"),
    "pooling": ("max_pool",),
    "ReLU": ("threshold_backward", "clamp_min"),
}


class OrbitNetwork(nn.Module):
    """Convolution, batch normalisation and ReLU six times, then pooling over the group and the pixels, and a classifier.

    Args:
        convolution: makes a layer of (maps before, maps after, kind).
        norm: makes a layer of a number of maps.
        pool: over the group.
    """

    def __init__(self, convolution: Callable[..., nn.Module], norm: Callable[[int], nn.Module], pool: nn.Module):
        super().__init__()
        maps = ORDER * ORBITS
        self.convolutions = nn.ModuleList(
            convolution(maps if layer else 1, maps, "regular" if layer else "lifting") for layer in range(LAYERS)
        )
        self.norms = nn.ModuleList(norm(maps) for _ in range(LAYERS))
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        for layer, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            maps = F.relu(norm(convolution(maps)), inplace=True)
            if layer in POOLED:
                maps = F.max_pool2d(maps, 2)
        return self.pool(maps)


def orbit_networks(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Networks over C_4, 10 orbits per layer, batch 128: times over those of plain layers of the same width, and of e2cnn"""
    if device.type == "cpu":
        keep_freed_memory()  # as the training program does; for all contenders
    rows = [compare(args, device, f"6 layers, {size} x {size}", six_layers(size), flops(size)) for size in (3, 5)]
    return [*rows, compare(args, device, "LGNConvNet", second_family(), None)]


def compare(
    args: argparse.Namespace, device: torch.device, name: str, networks: dict[str, nn.Module], operations: float | None
) -> Row:
    """Training steps and inference of each network in turns."""
    images, labels = make_batch("mnist", BATCH_SIZE, device)
    loss = plain_loss if operations else classifier_loss
    contenders = {key: Contender(network.to(device), loss) for key, network in networks.items()}
    pairs = [(key, "orbits") if key == "e2cnn" else ("orbits", key) for key in networks if key != "orbits"]
    steps = {key: partial(contender.step, images, labels) for key, contender in contenders.items()}
    times = alternate(steps, device, rounds=args.rounds, seconds=60, clock=own_clock(device))
    row: Row = {"network": name, **_named("step", {**medians(times), **ratios(times, *pairs)})}
    if operations:
        ideal = 1e3 * operations / matrix_rate(device)
        row["step: share of the matrix rate"] = ideal / statistics.median(times["orbits"])
    if device.type == "cpu":
        row |= _named("step, share of", shares(steps["orbits"]))
    for network in networks.values():
        network.eval()
    with torch.no_grad():
        calls = {key: partial(network, images) for key, network in networks.items()}
        times = alternate(calls, device, rounds=args.rounds, seconds=20, clock=own_clock(device))
    return {**row, **_named("inference", {**medians(times), **ratios(times, *pairs)})}


def shares(step: Callable[[], None], steps: int = 5) -> Row:
    """What kinds of operations take, of the time in all operations."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(steps):
            step()
    events = profile.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    return {
        kind: sum(e.self_cpu_time_total for e in events if any(name in e.key for name in names)) / total
        for kind, names in KINDS.items()
    }


def _named(what: str, row: Row) -> Row:
    return {f"{what}: {key}": value for key, value in row.items()}


def classifier_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return network(images, labels=labels).loss


def six_layers(size: int) -> dict[str, nn.Module]:
    group = LinearGroup.rotations(size, ORDER)

    def orbits(before: int, after: int, kind: str) -> nn.Module:
        return OrbitConv2d(before, after, size, group, kind, padding=size // 2, bias=False)  # pyrefly: ignore[bad-argument-type]

    def plain(before: int, after: int, kind: str) -> nn.Module:
        return nn.Conv2d(before, after, size, padding=size // 2, bias=False)

    bodies: dict[str, nn.Module] = {
        "orbits": OrbitNetwork(orbits, lambda maps: OrbitNorm2d(maps, group), OrbitPool2d(group)),
        "plain": OrbitNetwork(plain, nn.BatchNorm2d, OrbitPool2d(group)),
        "plain, channels-last": OrbitNetwork(plain, nn.BatchNorm2d, OrbitPool2d(group)).to(  # pyrefly: ignore[no-matching-overload]
            memory_format=torch.channels_last
        ),
    }
    e2cnn = e2cnn_network(ORBITS, LAYERS, size, POOLED)
    if e2cnn is not None:
        bodies["e2cnn"] = e2cnn
    return {
        name: nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ORBITS, 10))
        for name, body in bodies.items()
    }


def second_family() -> dict[str, nn.Module]:
    """The network of training/recipes/convnet-rotmnist.yaml, and its free twin of the same width."""
    common: dict[str, Any] = {"depths": [1, 1, 1], "downsample_in_first_stage": True, "num_labels": 10}
    return {
        "orbits": LGNConvNetForImageClassification(LGNConvNetConfig(num_orbits=3 * [ORBITS], **common)),
        "plain": LGNConvNetForImageClassification(
            LGNConvNetConfig(num_orbits=3 * [ORDER * ORBITS], group="trivial", **common)
        ),
    }


def flops(size: int) -> float:
    """Operations of the convolutions of a step: forward, and gradients in filters and, after the first layer, in maps."""
    side, total = SIDE, 0
    for layer in range(LAYERS):
        before = ORDER * ORBITS if layer else 1
        products = 3 if layer else 2
        total += products * 2 * BATCH_SIZE * side**2 * before * ORDER * ORBITS * size**2
        side = side // 2 if layer in POOLED else side
    return float(total)
