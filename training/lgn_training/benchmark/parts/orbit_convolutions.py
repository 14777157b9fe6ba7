"""Part `orbit_convolutions`: convolutions over the rotations by 90 degrees against ordinary ones, and against e2cnn's."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lgn_hf.nn import LinearGroup, OrbitConv2d
from lgn_training.benchmark.e2cnn_twins import e2cnn_convolution
from lgn_training.benchmark.timing import Times, alternate, own_clock, ratio
from lgn_training.engine.memory import keep_freed_memory
from lgn_training.texts import Row

SIZES, CHANNELS, SIDE, BATCH_SIZE = (3, 5), (20, 40, 80, 160), 14, 128


def orbit_convolutions(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Regular orbit convolutions over C_4, batch 128, 14 x 14 maps: times over nn.Conv2d's and e2cnn's (if installed)"""
    return [measure(args, device, size, channels) for size in SIZES for channels in CHANNELS]


def measure(args: argparse.Namespace, device: torch.device, size: int, channels: int) -> Row:
    """All layers get maps in the default order of memory, except a second ordinary one, which has channels-last."""
    if device.type == "cpu":
        keep_freed_memory()  # as the training program does; for all contenders
    group, last = LinearGroup.rotations(size), torch.channels_last
    ordinary = partial(nn.Conv2d, channels, channels, size, padding=size // 2)
    images = torch.randn(BATCH_SIZE, channels, SIDE, SIDE, device=device, requires_grad=True)
    images_last = images.detach().contiguous(memory_format=last).requires_grad_()
    layers: dict[str, Any] = {
        "orbits": OrbitConv2d(channels, channels, size, group, kind="regular", padding=size // 2),
        "plain": ordinary(),
        "plain, channels-last": ordinary().to(memory_format=last),  # pyrefly: ignore[no-matching-overload]
    }
    e2cnn_layer = e2cnn_convolution(channels, size)
    if e2cnn_layer is not None:
        layers["e2cnn"] = e2cnn_layer
    inputs = {name: (layer.to(device), images_last if "last" in name else images) for name, layer in layers.items()}
    calls: dict[str, dict[str, Callable]] = {
        "forward": {name: partial(layer, maps) for name, (layer, maps) in inputs.items()},
        "forward and backward": {name: make_step(layer, maps) for name, (layer, maps) in inputs.items()},
    }
    row: Row = {"filter": f"{size} x {size}", "channels": channels}
    clock = own_clock(device)
    for what, contenders in calls.items():
        row |= summary(what, alternate(contenders, device, rounds=args.rounds, seconds=40, clock=clock))
    for layer in layers.values():
        layer.eval()
    with torch.no_grad():
        row |= summary("inference", alternate(calls["forward"], device, rounds=args.rounds, seconds=20, clock=clock))
    return row


def make_step(layer: nn.Module, maps: Tensor) -> Callable[[], object]:
    """Forward, and the gradients in maps and parameters. The gradient of the output is in its order of memory, as in a network."""
    gradient = torch.randn_like(layer(maps))
    inputs = [maps, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(maps), inputs, gradient)


def summary(what: str, times: Times) -> Row:
    row: Row = {f"{what} ms": statistics.median(times["orbits"])}
    for name in ("plain", "plain, channels-last"):
        row[f"{what} / {name}"] = ratio(times, "orbits", name)
    if "e2cnn" in times:
        row[f"e2cnn / {what}"] = ratio(times, "e2cnn", "orbits")
    return row
