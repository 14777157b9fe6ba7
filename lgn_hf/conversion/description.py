"""A conversion as JSON: which layers have which action. It holds no weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..nn import LinearGroup
from ..nn.learned_groups import GroupModule
from .actions import describe, restore
from .converted_convolution import ConvertedConv2d
from .obstacles import count_weights, obstacle_of_module, obstacle_of_order, refuse
from .replacement import Pair, install

FORMAT_VERSION = 1


def describe_conversion(model: nn.Module) -> dict[str, Any]:
    """The layers of a model that are converted, and their actions.

    Returns:
        `groups`, a list of actions, and `layers`, from the name of each converted layer to the index of its action.
        Layers with the same learned action have the same index.

    Raises:
        ValueError: nothing is converted.
    """
    groups: list[dict[str, Any]] = []
    layers: dict[str, int] = {}
    index_of: dict[int, int] = {}
    for name, module in model.named_modules():
        if not isinstance(module, ConvertedConv2d):
            continue
        group = module.group
        if id(group) not in index_of:
            facts = describe(group)
            if isinstance(group, LinearGroup) and facts in groups:
                index_of[id(group)] = groups.index(facts)
            else:
                index_of[id(group)] = len(groups)
                groups.append(facts)
        layers[name] = index_of[id(group)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no converted convolutions")
    return {"format_version": FORMAT_VERSION, "groups": groups, "layers": layers}


def apply_description(model: nn.Module, description: dict[str, Any]) -> list[Pair]:
    """Convert the layers that a description names, with random filters, in place.

    Returns:
        Each convolution, and the layer that now has its place.

    Raises:
        ValueError: the description is not one, or does not fit the model, which then stays as it is.
    """
    groups, layers = check_description(description)
    modules = dict(model.named_modules())
    layers = _under_names_of(modules, layers, str(getattr(model, "base_model_prefix", "")))
    if missing := [name for name in layers if name not in modules]:
        raise ValueError(
            f"the conversion does not fit {type(model).__name__}: {len(missing)} of {len(layers)} converted layers are "
            f"not in it, such as {missing[0]}"
        )
    counts = count_weights(model)
    made: dict[int, LinearGroup | GroupModule] = {}
    pairs: list[Pair] = []
    for name, index in layers.items():
        conv: Any = modules[name]
        try:
            refuse(obstacle_of_module(name, conv, counts))
            owns_group = index not in made
            if owns_group:
                made[index] = restore(groups[index], conv.weight.device, conv.weight.dtype)
            refuse(obstacle_of_order(conv, made[index].order))
            pairs.append(Pair(conv, ConvertedConv2d(conv, made[index], owns_group)))
        except ValueError as error:
            raise ValueError(f"the conversion does not fit {type(model).__name__}: {name} {error}") from None
    install(model, pairs)
    return pairs


def check_description(description: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The actions and layers of a description.

    Raises:
        ValueError: it is not one, or has a format that this version does not read.
    """
    if not isinstance(description, dict) or "format_version" not in description:
        raise ValueError("this is not the description of a conversion: it has no format_version")
    if (version := description["format_version"]) != FORMAT_VERSION:
        raise ValueError(
            f"the conversion has format_version {version!r}; this version of lgn_hf reads {FORMAT_VERSION}"
        )
    groups, layers = description.get("groups"), description.get("layers")
    if not isinstance(groups, list) or not isinstance(layers, dict) or not layers:
        raise ValueError("the description of the conversion has no list of groups, or no layers")
    if any(not isinstance(index, int) or not 0 <= index < len(groups) for index in layers.values()):
        raise ValueError("the description of the conversion names a group that it does not have")
    return groups, layers


def _under_names_of(modules: dict[str, nn.Module], layers: dict[str, int], prefix: str) -> dict[str, int]:
    """The same layers where a model is loaded without its head, or with one: `resnet.encoder` and `encoder`."""
    if not prefix or all(name in modules for name in layers):
        return layers
    if prefix in modules:
        return {name if name in modules else f"{prefix}.{name}": index for name, index in layers.items()}
    return {name.removeprefix(f"{prefix}."): index for name, index in layers.items()}
