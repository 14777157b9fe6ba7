"""One module in the place of another."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from torch import nn

from .converted_convolution import ConvertedConv2d

_HOOKS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_is_full_backward_hook",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
_INITIALIZED = "_is_hf_initialized"  # by which transformers knows what not to draw again


class Pair(NamedTuple):
    """A convolution, and the layer that takes its place."""

    conv: nn.Conv2d
    layer: ConvertedConv2d


def install(model: nn.Module, pairs: Collection[Pair]) -> None:
    """Put the layers into the model."""
    for conv, layer in pairs:
        layer.weight.requires_grad_(conv.weight.requires_grad)
        layer.bias = conv.bias
        carry_over(conv, layer)
    replace_everywhere(model, {id(conv): layer for conv, layer in pairs})


def uninstall(model: nn.Module, pairs: Collection[Pair]) -> None:
    """Put the convolutions back."""
    replace_everywhere(model, {id(layer): conv for conv, layer in pairs})


def carry_over(old: nn.Module, new: nn.Module) -> None:
    """Give a module the mode, the hooks and the mark of transformers of the one that it replaces."""
    new.training = old.training
    for name in _HOOKS:
        if name in old.__dict__:  # the dictionary itself, so that handles still remove their hooks
            new.__dict__[name] = old.__dict__[name]
    if getattr(old, _INITIALIZED, False) or getattr(old.weight, _INITIALIZED, False):
        for holder in (new, *new.parameters()):
            setattr(holder, _INITIALIZED, True)


def replace_everywhere(model: nn.Module, replacements: dict[int, nn.Module]) -> None:
    """Put modules in the place of others, by the `id` of the old one, wherever the model holds it."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and id(child) in replacements:
                setattr(parent, name, replacements[id(child)])
