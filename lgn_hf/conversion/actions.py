"""The actions that a convolution can get: by name, or a group that is given. And their description in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from ..nn import LearnedGroup, LearnedMatrices, LinearGroup
from ..nn.learned_groups import GroupModule

Maker = Callable[[tuple[int, int], int], LinearGroup]
LARGEST = 100_000  # numbers of a group's matrices in a JSON file


class ActionKind(NamedTuple):
    """An action that has a name.

    make: from the kernel's size and `order` to the group, fixed or where learning starts; a ValueError says why a kernel
    cannot have it. learned: the module that learns it, or None.
    """

    name: str
    help: str
    make: Maker
    learned: type[LearnedGroup] | type[LearnedMatrices] | None = None


def _cyclic(kernel_size: tuple[int, int], order: int) -> LinearGroup:
    pixels = kernel_size[0] * kernel_size[1]
    if pixels < order:
        raise ValueError(f"has {pixels} pixels in its kernel, fewer than order={order}")
    return LinearGroup.cyclic(order, pixels)


def _on_squares(make: Callable[[int, int], LinearGroup]) -> Maker:
    def on_square(kernel_size: tuple[int, int], order: int) -> LinearGroup:
        if kernel_size[0] != kernel_size[1]:
            raise ValueError(f"has a {kernel_size[0]} x {kernel_size[1]} kernel, which is not square")
        return make(kernel_size[0], order)

    return on_square


ACTIONS = {
    kind.name: kind
    for kind in (
        ActionKind("cyclic", "learned; A^order = I by construction", _cyclic, LearnedGroup),
        ActionKind("learned", "a free matrix, as in the papers; it needs the projection", _cyclic, LearnedMatrices),
        ActionKind("rotation", "rotations by multiples of 360 / order degrees", _on_squares(LinearGroup.rotations)),
        ActionKind("dihedral", "these and mirrors, 2 * order elements", _on_squares(LinearGroup.dihedral)),
    )
}


def group_for(conv: nn.Conv2d, action: str | LinearGroup, order: int) -> LinearGroup:
    """The group for the kernel of a convolution, fixed or where learning starts.

    Raises:
        ValueError: why there is none, as the end of a sentence that starts with the name of the convolution.
    """
    size = (conv.kernel_size[0], conv.kernel_size[1])
    if isinstance(action, str):
        return ACTIONS[action].make(size, order)
    if action.filter_size is not None and size[0] == size[1]:
        try:
            return action.resized(size[0])
        except ValueError as error:
            raise ValueError(f"has a {size[0]} x {size[1]} kernel, and {error}") from None
    if size[0] * size[1] != action.dim or action.filter_size is not None:
        raise ValueError(f"has a {size[0]} x {size[1]} kernel, and the group acts on {action.dim} pixels")
    return action


# In JSON


def describe(group: LinearGroup | GroupModule) -> dict[str, Any]:
    """A group or learned group as JSON, without what it has learned."""
    if isinstance(group, LinearGroup):
        return _describe_fixed(group)
    facts: dict[str, Any] = {
        "learned": type(group).__name__,
        "start": _describe_fixed(group.start),
        "batch_shape": list(group.batch_shape),
    }
    if isinstance(group, LearnedMatrices):
        facts["norm"] = group.norm
    return facts


def restore(facts: dict[str, Any], device: Any = None, dtype: Any = None) -> LinearGroup | GroupModule:
    """The group that `describe` described; what it has learned is in the weights.

    Raises:
        ValueError: the description is not one of these.
    """
    try:
        with torch.device("cpu"):
            if "learned" not in facts:
                return _restore_fixed(facts)
            start = _restore_fixed(facts["start"])
        batch_shape = tuple(facts["batch_shape"])
        if facts["learned"] == "LearnedGroup":
            return LearnedGroup(start, batch_shape, device=device, dtype=dtype)
        if facts["learned"] == "LearnedMatrices":
            return LearnedMatrices(start, batch_shape, facts["norm"], device=device, dtype=dtype)
        raise ValueError(f"no learned group is called {facts['learned']!r}")
    except (KeyError, TypeError) as error:
        raise ValueError(f"the description of a group is incomplete: {error!r}") from None


def _describe_fixed(group: LinearGroup) -> dict[str, Any]:
    size, order = group.filter_size, group.order
    named = [{"kind": "cyclic", "order": order, "dim": group.dim}] if group.dim >= order else []
    if size is not None and size > 1:
        named.append({"kind": "rotation", "order": order, "filter_size": size})
        if order % 2 == 0:
            named.append({"kind": "dihedral", "order": order // 2, "filter_size": size})
    for facts in named:
        if torch.equal(_restore_fixed(facts).elements, group.elements):
            return {"name": group.name, **facts}
    table = {"table": group.table.tolist(), "generators": list(group.generator_indices)}
    images = group.elements.argmax(-1)
    if torch.equal(torch.eye(group.dim, dtype=torch.float64)[images], group.elements):
        return {"name": group.name, "kind": "permutations", "images": images.tolist(), **table}
    if group.elements.numel() > LARGEST:
        raise ValueError(
            f"the matrices of {group!r} are {group.elements.numel()} numbers, and a description holds at most {LARGEST}"
        )
    return {"name": group.name, "kind": "matrices", "elements": group.elements.tolist(), **table}


def _restore_fixed(facts: dict[str, Any]) -> LinearGroup:
    kind = facts["kind"]
    if kind == "cyclic":
        return LinearGroup.cyclic(facts["order"], facts["dim"])
    if kind == "rotation":
        return LinearGroup.rotations(facts["filter_size"], facts["order"])
    if kind == "dihedral":
        return LinearGroup.dihedral(facts["filter_size"], facts["order"])
    if kind == "permutations":
        images = torch.tensor(facts["images"])
        elements = torch.eye(images.shape[-1], dtype=torch.float64)[images]
    elif kind == "matrices":
        elements = torch.tensor(facts["elements"], dtype=torch.float64)
    else:
        raise ValueError(f"no group is of kind {kind!r}")
    return LinearGroup(elements, torch.tensor(facts["table"]), facts["generators"])
