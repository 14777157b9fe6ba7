"""Why a module cannot be converted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from ..nn.orbit_convolution import OrbitConv2d


def obstacle_of_module(name: str, module: nn.Module, weight_counts: Counter[int]) -> str | None:
    """Why no action at all can be put into this module, or None.

    Args:
        name: of the module in its model.
        module: any module.
        weight_counts: how many modules of the model hold each parameter, by its `id`.
    """
    kind: Any = type(module)
    if isinstance(module, OrbitConv2d):
        return f"is an {kind.__name__} already"
    if not isinstance(module, nn.Conv2d):
        return f"is a {kind.__name__}, not an nn.Conv2d"
    if isinstance(module, LazyModuleMixin):
        return "is lazy; run a batch through the model first"
    if is_parametrized(module):
        return "has a parametrized weight; remove the parametrization first"
    if kind.forward is not nn.Conv2d.forward or kind._conv_forward is not nn.Conv2d._conv_forward:
        return f"is a {kind.__name__}, whose forward is not that of nn.Conv2d"
    if "forward" in module.__dict__:
        return "has a forward that was replaced, as accelerate's hooks do"
    if not isinstance(module._parameters.get("weight"), nn.Parameter):
        return "has a weight that is computed from other parameters, as by weight_norm"
    if not module.weight.is_floating_point():
        return f"has weights of {module.weight.dtype}"
    if weight_counts[id(module.weight)] > 1:
        return "shares its weight with another module"
    if not name:
        return "is the model itself; put it into an nn.Sequential"
    return None


def obstacle_of_kernel(conv: nn.Conv2d) -> str | None:
    """Why no action can move this kernel, or None."""
    return "has a 1 x 1 kernel, on which nothing moves" if conv.kernel_size == (1, 1) else None


def obstacle_of_order(conv: nn.Conv2d, order: int) -> str | None:
    """Why the filters of a convolution cannot be orbits of |G| = `order` filters, or None."""
    if conv.out_channels % order:
        return f"has {conv.out_channels} output maps, not a multiple of |G| = {order}"
    if orbits_span_groups(conv, order) and conv.in_channels != conv.groups:
        maps = conv.out_channels // conv.groups
        return f"has {maps} output maps in each of {conv.groups} groups, not a multiple of |G| = {order}"
    return None


def refuse(obstacle: str | None) -> None:
    """Raise a ValueError with an obstacle, if there is one."""
    if obstacle is not None:
        raise ValueError(obstacle)


def orbits_span_groups(conv: nn.Conv2d, order: int) -> bool:
    """Whether a group of the convolution is too small for an orbit. The orbits of a depthwise one reach across groups."""
    return conv.out_channels // conv.groups % order != 0


def obstacle_of_weights(conv: nn.Conv2d, init: str) -> str | None:
    """Why a fit to the weights is impossible, or None."""
    if init != "fit":
        return None
    if conv.weight.is_meta:
        return "has no weights to fit, as it is on the meta device; load them first, or use init='draw'"
    if not bool(torch.isfinite(conv.weight).all()):
        return "has weights that are not finite"
    return None


def count_weights(model: nn.Module) -> Counter[int]:
    """How many modules hold each parameter, by its `id`."""
    return Counter(
        id(parameter)
        for module in model.modules()
        for parameter in module._parameters.values()
        if parameter is not None
    )
