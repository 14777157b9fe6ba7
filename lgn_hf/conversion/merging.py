"""Back to ordinary convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..nn import OrbitConv1d, OrbitConv2d, OrbitConvTranspose2d
from .replacement import carry_over, replace_everywhere
from .transformers_config import forget_conversion

_ORDINARY: dict[type, type] = {
    OrbitConv1d: nn.Conv1d,
    OrbitConv2d: nn.Conv2d,
    OrbitConvTranspose2d: nn.ConvTranspose2d,
}


def merge(model: nn.Module) -> nn.Module:
    """Replace every orbit convolution by an ordinary one with the same filters, in place.

    A converted model is then what it was before `convert`, with other weights: the same classes and the same keys in its
    `state_dict`. Nothing of lgn_hf is left. (`OrbitNorm2d` and `OrbitPool2d`, which `convert` never makes, stay.)

    Args:
        model: a converted model, or any network with `OrbitConv1d`, `OrbitConv2d` or `OrbitConvTranspose2d`.

    Returns:
        The model.

    Raises:
        ValueError: there is nothing to merge.
    """
    orbit_convolutions = [module for module in model.modules() if isinstance(module, tuple(_ORDINARY))]
    if model in orbit_convolutions:
        raise ValueError("the model itself is an orbit convolution; put it into an nn.Sequential")
    if not orbit_convolutions:
        raise ValueError(f"{type(model).__name__} has no orbit convolutions to merge")
    replace_everywhere(model, {id(module): _ordinary(module) for module in orbit_convolutions})
    forget_conversion(model)
    return model


@torch.no_grad()
def _ordinary(module: Any) -> nn.Module:
    kind = next(plain for orbit, plain in _ORDINARY.items() if isinstance(module, orbit))
    extra = {"output_padding": module.output_padding} if kind is nn.ConvTranspose2d else {}
    plain = kind(
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
        bias=module.bias is not None,
        padding_mode=module.padding_mode,
        device="meta",
        **extra,
    )
    plain.weight = nn.Parameter(
        module.filters().detach().clone(memory_format=torch.contiguous_format), module.weight.requires_grad
    )
    if module.bias is not None:
        bias = module.full_bias()
        plain.bias = bias if bias is module.bias else nn.Parameter(bias.clone(), module.bias.requires_grad)
    carry_over(module, plain)
    return plain
