"""The actions of a network by themselves: one `Action`, or all `Actions`, without the model that they come from."""

from __future__ import annotations

import copy
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from .diagnosis import NULL, diagnose
from .linear_maps import LinearMaps
from .registry import SCORES, Record
from .schema import json_value

LARGEST_ORDER, LARGEST_TENSOR = 4096, 2**28  # as in the configuration
AXES = ("layer", "group", "channel")


def action_key(layer: int, group: int, channel: int) -> str:
    """The name of a matrix in `actions.safetensors`."""
    return f"layers.{layer}.groups.{group}.channels.{channel}"


class Action(LinearMaps):
    """One generator: its `matrix` (d, d), and the `layer`, `group` and `channel` that it belongs to."""

    def __init__(self, actions: Actions, position: tuple[int, int, int]):
        layer, group, channel = position
        self.layer, self.group, self.channel = (
            numbers[i] for numbers, i in zip(actions.numbers, position, strict=True)
        )
        self.matrices = self.matrix = actions.matrices[position]
        self.order, self.rotation_angle = actions.order, actions.rotation_angle
        self.basis = None
        if actions.basis is not None:
            filters = actions.basis[layer, group]
            self.basis = filters[channel] if actions.has_own_channels else filters

    @property
    def key(self) -> str:
        """The name of its matrix in `actions.safetensors`."""
        return action_key(self.layer, self.group, self.channel)

    def __repr__(self) -> str:
        return f"Action({self.key}, {self.dim} x {self.dim}, order {self.order})"


class Actions(LinearMaps):
    """All generators of a network, (L, K, C, d, d), or (L, K, 1, d, d) if channels share an action.

    Groups or layers that share an action each have a copy of it; `distinct` drops the copies.

    `actions[l]`, `actions[l, k]` and slices of layers, groups and channels are `Actions` again, and
    keep all three dimensions. `actions[l, k, c]` is one `Action`. Iteration yields every `Action`,
    layer by layer.

    Args:
        matrices: (L, K, C, d, d), kept as float32 on the CPU.
        order: elements of a group, p.
        basis: the basis filters, (L, K, C, n, n), also if channels share an action.
        name: of the model.
        config: the fields of the model's configuration, plain JSON values.
        numbers: the numbers of the layers, groups and channels, if they are not 0, 1, 2, ...

    Raises:
        ValueError: a shape does not fit, or a number is not finite.

    Example:
        >>> from lgn_hf import load_actions
        >>> actions = load_actions("model_cards/lgn-mnist")
        >>> actions
        Actions(lgn-hf/lgn-mnist: 4 layers x 5 groups x 1 channels, 36 x 36, order 4)
        >>> actions[0].orbit(torch.eye(6), powers=range(8)).shape  # the 5 groups of layer 0, 1 channel, 8 powers
        torch.Size([1, 5, 1, 8, 6, 6])
    """

    numbers: tuple[Sequence[int], ...]

    def __init__(
        self,
        matrices: Tensor,
        order: int,
        *,
        basis: Tensor | None = None,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        numbers: tuple[Sequence[int], ...] | None = None,
    ):
        if matrices.numel() > LARGEST_TENSOR:  # a few numbers may be expanded to many
            raise ValueError(f"actions have shape {tuple(matrices.shape)}: must be at most {LARGEST_TENSOR:,} numbers")
        self.matrices = matrices.detach().to("cpu", torch.float32, copy=True).contiguous()
        self.basis = None if basis is None else basis.detach().to("cpu", torch.float32, copy=True)
        self.order = order
        self.name = name
        self.config = dict(config or {})
        self.rotation_angle = self.config["rotation_angle"] if self.config.get("action") == "rotation" else None
        self._check()
        self.numbers = numbers or tuple(range(count) for count in self.matrices.shape[:3])
        self._records: list[Record] | None = None
        self._null: Any = None  # how the null of the records was drawn

    def _check(self) -> None:
        shape = tuple(self.matrices.shape)
        if len(shape) != 5 or 0 in shape or shape[-1] != shape[-2] or self.size**2 != self.dim:
            raise ValueError(
                f"actions have shape {shape}: must be (layers, groups, channels, d, d), d the square of a filter's side"
            )
        if isinstance(self.order, bool) or not isinstance(self.order, int) or not 1 <= self.order <= LARGEST_ORDER:
            raise ValueError(f"order={self.order!r:.80}: must be a whole number from 1 to {LARGEST_ORDER}")
        if self.basis is not None:
            layers, groups, channels = shape[:3]
            given = tuple(self.basis.shape)
            if len(given) != 5 or given != (layers, groups, given[2] if channels == 1 else channels, *2 * [self.size]):
                raise ValueError(
                    f"basis filters have shape {given}: must be {(layers, groups, channels, self.size, self.size)}"
                    + (", with any number of channels" if channels == 1 else "")
                )
        for what, tensor in (("actions", self.matrices), ("basis filters", self.basis)):
            if tensor is not None and not tensor.isfinite().all():
                raise ValueError(f"the {what} hold numbers that are not finite")

    # Sharing

    @property
    def has_own_channels(self) -> bool:
        """Whether every channel of the basis filters has an action of its own."""
        return self.basis is not None and self.basis.shape[2] == self.matrices.shape[2]

    @property
    def is_fixed(self) -> bool:
        """Whether all actions are the same by construction: rotations, or the identity of groups of order 1."""
        return self.order == 1 or self.rotation_angle is not None

    @property
    def shared(self) -> tuple[bool, bool, bool]:
        """Whether all layers, all groups, and all channels have the same actions.

        They do in tied layers, in networks of fixed rotations, and by `action_sharing`.
        """
        layers, groups, channels = (
            count > 1 and torch.equal(self.matrices, self.matrices.narrow(axis, 0, 1).expand_as(self.matrices))
            for axis, count in enumerate(self.matrices.shape[:3])
        )
        one_channel = self.matrices.shape[2] == 1 and self.config.get("action_sharing", "channel") != "channel"
        return layers, groups, channels or one_channel

    def distinct(self) -> Actions:
        """The actions without copies: one layer, group or channel stands for all that have the same actions."""
        return self[tuple(slice(1 if shared else None) for shared in self.shared)] if any(self.shared) else self

    # Slicing

    @property
    def keys(self) -> list[str]:
        """The names of the matrices in `actions.safetensors`, in the order of iteration."""
        return [action_key(*numbers) for numbers in itertools.product(*self.numbers)]

    def __len__(self) -> int:
        return math.prod(self.matrices.shape[:3])

    def __iter__(self) -> Iterator[Action]:
        layers, groups, channels = map(range, self.matrices.shape[:3])
        for position in itertools.product(layers, groups, channels):
            yield Action(self, position)

    @overload
    def __getitem__(self, index: tuple[int, int, int]) -> Action: ...

    @overload
    def __getitem__(self, index: int | slice | tuple[int | slice, ...]) -> Actions: ...

    def __getitem__(self, index: int | slice | tuple[int | slice, ...]) -> Action | Actions:
        given = index if isinstance(index, tuple) else (index,)
        if len(given) > 3:
            raise IndexError(f"{len(given)} indices: actions have three, layer, group and channel")
        parts = [*given, *[slice(None)] * (3 - len(given))]
        layers, groups, channels = (self._positions(axis, part) for axis, part in enumerate(parts))
        if not any(isinstance(part, slice) for part in parts):
            return Action(self, (layers[0], groups[0], channels[0]))
        part = copy.copy(self)
        part.matrices = self.matrices[layers][:, groups][:, :, channels]
        if self.basis is not None:
            part.basis = self.basis[layers][:, groups]
            if self.has_own_channels:
                part.basis = part.basis[:, :, channels]
        part.numbers = tuple(
            [numbers[i] for i in chosen]
            for numbers, chosen in zip(self.numbers, (layers, groups, channels), strict=True)
        )
        if self._records is not None:
            records = {record["key"]: record for record in self._records}
            part._records = [records[key] for key in part.keys]
        return part

    def _positions(self, axis: int, part: int | slice) -> list[int]:
        """The positions along an axis that an index or a slice chooses, at least one."""
        count = self.matrices.shape[axis]
        if isinstance(part, slice):
            chosen = list(range(count)[part])
        else:
            chosen = [part % count] if -count <= part < count else []
        if not chosen:
            raise IndexError(f"{AXES[axis]} {part}: these actions have {AXES[axis]}s 0 to {count - 1}")
        return chosen

    def __repr__(self) -> str:
        layers, groups, channels = self.matrices.shape[:3]
        return (
            f"Actions({self.name or 'unnamed'}: {layers} layers x {groups} groups x {channels} channels, "
            f"{self.dim} x {self.dim}, order {self.order})"
        )

    # Diagnostics and files

    def diagnose(self) -> list[Record]:
        """The records of `actions.json`, one per action in the order of iteration: what `diagnosis.diagnose` says of it.

        They are computed once; loaded actions come with theirs. A number that JSON does not know,
        such as the condition number of a singular action, is None.
        """
        if self._records is None:
            # Tied layers, and networks of fixed rotations, have the same action many times.
            distinct, which = self.matrices.flatten(3).flatten(0, 2).unique(dim=0, return_inverse=True)
            diagnosed = diagnose(distinct.unflatten(1, (self.dim, self.dim)), self.size, order=self.order)
            self._null = json_value(NULL)
            self._records = [
                {**dict(zip(AXES, place, strict=True)), "key": action_key(*place), **json_value(diagnosed[i])}
                for place, i in zip(itertools.product(*self.numbers), which.tolist(), strict=True)
            ]
        return self._records

    def table(self) -> list[dict[str, Any]]:
        """`diagnose` as flat rows, one per action: every score and its z-score, and the nearest known operation.

        All rows have the same columns. A score that a record lacks is None: the actions may come
        from a file of another version.
        """
        records = self.diagnose()
        names = dict.fromkeys([*(name for record in records for name in record["scores"]), *SCORES])
        rows = []
        for record in records:
            place = {name: record[name] for name in (*AXES, "label")}
            scores: dict[str, Any] = {}
            for name in names:
                score = record["scores"].get(name, {})
                scores[name], scores[f"{name}_z"] = score.get("value"), score.get("z")
            best = record["nearest"][0] if record["nearest"] else {}
            rows.append(
                {
                    **place,
                    **scores,
                    **place,  # a file may name a score anything
                    "condition_number": record["condition_number"],
                    "log_abs_det": record["log_abs_det"],
                    "nearest": best.get("operation"),
                    "nearest_correlation": best.get("correlation"),
                }
            )
        return rows

    def save(self, folder: str | os.PathLike) -> None:
        """Write `actions.safetensors` and `actions.json`, see `storage.save_actions`."""
        from .storage import save_actions

        save_actions(self, folder)
