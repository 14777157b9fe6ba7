"""Part `orbit_convolutions`: convolutions over the rotations by 90 degrees against ordinary ones, and against e2cnn's."""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from lgn_hf.nn import LinearGroup, OrbitConv2d
from lgn_training.benchmark.timing import Times, alternate, ratio
from lgn_training.texts import Row

SIZES, CHANNELS, SIDE, BATCH_SIZE = (3, 5), (20, 40, 80, 160), 14, 128


def orbit_convolutions(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Regular orbit convolutions over C_4, batch 128, 14 x 14 maps: times over nn.Conv2d's and e2cnn's (if installed)"""
    return [measure(args, device, size, channels) for size in SIZES for channels in CHANNELS]


def measure(args: argparse.Namespace, device: torch.device, size: int, channels: int) -> Row:
    group = LinearGroup.rotations(size)
    layers: dict[str, Callable[[Tensor], Tensor]] = {
        "orbits": OrbitConv2d(channels, channels, size, group, kind="regular", padding=size // 2).to(device),
        "plain": nn.Conv2d(channels, channels, size, padding=size // 2).to(device),
    }
    e2cnn_layer = e2cnn_convolution(channels, size, device)
    if e2cnn_layer:
        layers["e2cnn"] = e2cnn_layer
    images = torch.randn(BATCH_SIZE, channels, SIDE, SIDE, device=device, requires_grad=True)
    calls: dict[str, dict[str, Callable]] = {
        "forward": {name: partial(layer, images) for name, layer in layers.items()},
        "forward and backward": {name: partial(step, layer, images) for name, layer in layers.items()},
    }
    row: Row = {"filter": f"{size} x {size}", "channels": channels}
    for what, contenders in calls.items():
        row |= summary(what, alternate(contenders, device, rounds=args.rounds, seconds=20))
    for layer in layers.values():
        getattr(layer, "module", layer).eval()  # pyright: ignore[reportFunctionMemberAccess]
    with torch.no_grad():
        row |= summary("inference", alternate(calls["forward"], device, rounds=args.rounds, seconds=10))
    return row


def step(layer: Callable[[Tensor], Tensor], images: Tensor) -> None:
    layer(images).sum().backward()


def summary(what: str, times: Times) -> Row:
    row: Row = {f"{what} ms": statistics.median(times["orbits"]), f"{what} / plain": ratio(times, "orbits", "plain")}
    if "e2cnn" in times:
        row[f"e2cnn / {what}"] = ratio(times, "e2cnn", "orbits")
    return row


def e2cnn_convolution(channels: int, size: int, device: torch.device) -> Callable[[Tensor], Tensor] | None:
    """e2cnn's convolution of the same shape, on plain tensors; None where e2cnn is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e2cnn 0.2.3 has invalid escape sequences
            gspaces: Any = import_module("e2cnn.gspaces")
            modules: Any = import_module("e2cnn.nn")
    except ImportError:
        return None
    space = gspaces.Rot2dOnR2(4)
    maps = modules.FieldType(space, channels // 4 * [space.regular_repr])
    layer = modules.R2Conv(maps, maps, size, padding=size // 2).to(device)

    class OnTensors:
        module = layer

        def __call__(self, images: Tensor) -> Tensor:
            return layer(modules.GeometricTensor(images, maps)).tensor

    return OnTensors()
