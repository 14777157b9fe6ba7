"""The convolution and the network of the parts `orbit_convolutions` and `orbit_networks`, built of e2cnn 0.2.3."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from torch import Tensor, nn


class E2cnnTwin(nn.Module):
    """Modules of e2cnn as one module on plain tensors. Input and output are of the field types `before` and `after`."""

    def __init__(self, before: Any, body: nn.Module):
        super().__init__()
        self.before, self.body = before, body

    def forward(self, maps: Tensor) -> Tensor:
        return self.body(import_module("e2cnn.nn").GeometricTensor(maps, self.before)).tensor


def e2cnn_convolution(channels: int, size: int) -> nn.Module | None:
    """A regular convolution over the rotations by 90 degrees; None where e2cnn is not installed."""
    e2cnn = _e2cnn()
    if e2cnn is None:
        return None
    modules, space = e2cnn
    maps = modules.FieldType(space, channels // 4 * [space.regular_repr])
    return E2cnnTwin(maps, modules.R2Conv(maps, maps, size, padding=size // 2))


def e2cnn_network(orbits: int, layers: int, size: int, pooled: tuple[int, ...]) -> nn.Module | None:
    """`OrbitNetwork` of e2cnn's modules up to its last maps, which are pooled over the group; None without e2cnn."""
    e2cnn = _e2cnn()
    if e2cnn is None:
        return None
    modules, space = e2cnn
    image = modules.FieldType(space, [space.trivial_repr])
    maps = modules.FieldType(space, orbits * [space.regular_repr])
    body = []
    for layer in range(layers):
        convolution = modules.R2Conv(maps if layer else image, maps, size, padding=size // 2, bias=False)
        body += [convolution, modules.InnerBatchNorm(maps), modules.ReLU(maps, inplace=True)]
        if layer in pooled:
            body.append(modules.PointwiseMaxPool(maps, 2))
    return E2cnnTwin(image, modules.SequentialModule(*body, modules.GroupPooling(maps)))


def _e2cnn() -> tuple[Any, Any] | None:
    """The layers of e2cnn, and the rotations of the plane by 90 degrees."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e2cnn 0.2.3 has invalid escape sequences
            return import_module("e2cnn.nn"), import_module("e2cnn.gspaces").Rot2dOnR2(4)
    except ImportError:
        return None
