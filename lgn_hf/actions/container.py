"""The learned actions by themselves: all generators of a network, to look at, apply, save and load without the model.

`actions.safetensors` holds one float32 d x d matrix an action, `layers.{l}.groups.{k}.channels.{c}`; `actions.json`
holds what `diagnostics` says about each. (A network of fixed rotations has one action for every group, and one without groups
the identity: that is saved once.) Neither they nor this module need transformers.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..files import check_schema, write_whole
from ..model.filters import rotation_matrix, unvec, vec

TENSORS_NAME = "actions.safetensors"
RECORDS_NAME = "actions.json"
FORMAT_VERSION = 1
LARGEST_ORDER, LARGEST_TENSOR = 4096, 2**28  # as in the configuration


class LinearMaps:
    """Linear maps on n x n filters, phi_A(W) = vec^-1(A vec(W)) (eq. 8): what one action and a set of them can do.

    The maps and what they are applied to broadcast against each other: one 6 x 6 filter under all actions of a network
    gives (L, K, C, 6, 6), and so does its basis, (L, K, C, 6, 6), every filter under its own action. Everything is
    computed, and returned, in float64.

    Attributes:
        matrices: the generators A, (..., d, d), d = n^2.
        order: elements of the group, p.
        basis: the basis filters W that the network applies them to, (..., n, n), or None where they are not known.
        rotation_angle: degrees, where the network rotates by multiples of it, see `power`; else None.
    """

    matrices: Tensor
    order: int
    basis: Tensor | None
    rotation_angle: float | None

    @property
    def dim(self) -> int:
        """d = n^2, the length of a vectorised filter."""
        return self.matrices.shape[-1]

    @property
    def size(self) -> int:
        """n, height and width of a filter, pixels."""
        return math.isqrt(self.dim)

    def power(self, exponent: int) -> Tensor:
        """A^i, (..., d, d), as the network has it: any whole i, also past p, and below 0 where A is invertible.

        A rotation network (`rotation_angle`) rotates once, by i * theta, instead of rotating i times.
        """
        if self.rotation_angle is not None:
            return rotation_matrix(self.size, exponent * self.rotation_angle).expand(self.matrices.shape)
        return torch.linalg.matrix_power(self.matrices.double(), exponent)

    def apply(self, filters: Tensor, power: int = 1) -> Tensor:
        """The filters under A^power: (..., n, n) to (..., n, n).

        Raises:
            ValueError: the filters are not n x n, or do not broadcast against the actions.
        """
        if filters.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"filters have shape {tuple(filters.shape)}: these actions take (..., {self.size}, {self.size})"
            )
        self._check_broadcast("filters", filters)
        vectors = vec(filters.to("cpu", torch.float64))
        return unvec((self.power(power) @ vectors[..., None])[..., 0], self.size)

    def apply_to_image(self, image: Tensor, power: int = 1) -> Tensor:
        """Every n x n patch of an image under A^power, averaged where patches overlap: (..., H, W) to (..., H, W).

        The channels of a (C, H, W) image go to the actions of their channel.

        Raises:
            ValueError: the image is smaller than a filter, or does not broadcast against the actions.
        """
        if image.dim() < 2 or min(image.shape[-2:]) < self.size:
            raise ValueError(
                f"image has shape {tuple(image.shape)}: these actions take (..., height, width), "
                f"at least {self.size} x {self.size}"
            )
        self._check_broadcast("image", image)
        image = image.to("cpu", torch.float64)
        patches = image.unfold(-2, self.size, 1).unfold(-2, self.size, 1)  # (..., h, w, n, n)
        moved = self.power(power) @ vec(patches).flatten(-3, -2).mT  # (..., d, h*w)
        columns = unvec(moved.mT, self.size).flatten(-2).mT  # row-major patches, as `fold` takes them
        columns = columns.reshape(-1, *columns.shape[-2:])
        total, count = (F.fold(part, image.shape[-2:], self.size) for part in (columns, torch.ones_like(columns[:1])))
        return (total / count).reshape(*moved.shape[:-2], *image.shape[-2:])

    def orbit(self, basis: Tensor | None = None, powers: Iterable[int] | None = None) -> Tensor:
        """The orbits W, phi_A(W), ..., phi_A^{p-1}(W) of basis filters (eq. 9): (..., n, n) to (..., p, n, n).

        Args:
            basis: by default the network's own.
            powers: other powers than 0..p-1.

        Raises:
            ValueError: no basis is given or known, or it does not fit (see `apply`).
        """
        basis = self.basis if basis is None else basis
        if basis is None:
            raise ValueError("these actions came without their basis filters: pass the filters whose orbit you want")
        exponents = range(self.order) if powers is None else powers
        return torch.stack([self.apply(basis, exponent) for exponent in exponents], dim=-3)

    def _check_broadcast(self, name: str, tensor: Tensor) -> None:
        batch = self.matrices.shape[:-2]
        try:
            torch.broadcast_shapes(batch, tensor.shape[:-2])
        except RuntimeError:
            raise ValueError(
                f"{name} have shape {tuple(tensor.shape)}: the dimensions before the last two must broadcast "
                f"against the actions' {tuple(batch)}"
            ) from None


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
        return _key(self.layer, self.group, self.channel)

    def __repr__(self) -> str:
        return f"Action({self.key}, {self.dim} x {self.dim}, order {self.order})"


class Actions(LinearMaps):
    """All generators of a network, (L, K, C, d, d), or (L, K, 1, d, d) where channels share theirs.

    Groups or layers that share an action each have a copy of it; `distinct` is without copies.

    `actions[l]`, `actions[l, k]`, slices of layers, groups and channels are `Actions` again, always of all three
    dimensions; `actions[l, k, c]` is one `Action`, and iteration goes over all of them, layer by layer.

    Args:
        matrices: (L, K, C, d, d), kept as float32 on the CPU.
        order: elements of a group, p.
        basis: the basis filters, (L, K, C, n, n), also where channels share an action.
        name: of the model.
        config: the fields of the model's configuration, plain JSON values.

    Raises:
        ValueError: a shape does not fit, or a number is not finite.

    Example:
        >>> actions = load_actions("user/lgn-cifar10")
        >>> actions[0].orbit(torch.eye(6), powers=range(8)).shape  # K = 5 groups of layer 0, 3 channels
        torch.Size([1, 5, 3, 8, 6, 6])
    """

    def __init__(
        self,
        matrices: Tensor,
        order: int,
        *,
        basis: Tensor | None = None,
        name: str | None = None,
        config: dict[str, Any] | None = None,
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
        self.numbers: tuple[Sequence[int], ...] = tuple(range(count) for count in self.matrices.shape[:3])
        self._records: list[dict[str, Any]] | None = None
        self._null: Any = None

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

    @property
    def has_own_channels(self) -> bool:
        """Whether every channel of the basis filters has an action of its own."""
        return self.basis is not None and self.basis.shape[2] == self.matrices.shape[2]

    @property
    def is_fixed(self) -> bool:
        """Whether all are the same by construction: rotations, or the identity of groups of order 1."""
        return self.order == 1 or self.rotation_angle is not None

    @property
    def shared(self) -> tuple[bool, bool, bool]:
        """Whether all layers have the same actions, all groups, and all channels: tied layers, fixed rotations,
        `action_sharing`."""
        layers, groups, channels = (
            count > 1 and torch.equal(self.matrices, self.matrices.narrow(axis, 0, 1).expand_as(self.matrices))
            for axis, count in enumerate(self.matrices.shape[:3])
        )
        one_channel = self.matrices.shape[2] == 1 and self.config.get("action_sharing", "channel") != "channel"
        return layers, groups, channels or one_channel

    def distinct(self) -> Actions:
        """The actions of one layer, group or channel alone where all have the same."""
        return self[tuple(slice(1 if shared else None) for shared in self.shared)] if any(self.shared) else self

    @property
    def keys(self) -> list[str]:
        """The names of the matrices in `actions.safetensors`, in the order of iteration."""
        return [_key(*numbers) for numbers in itertools.product(*self.numbers)]

    def __len__(self) -> int:
        return math.prod(self.matrices.shape[:3])

    def __iter__(self) -> Iterator[Action]:
        layers, groups, channels = map(range, self.matrices.shape[:3])
        for position in itertools.product(layers, groups, channels):
            yield Action(self, position)

    @overload
    def __getitem__(  # pyright: ignore[reportOverlappingOverload]  (three numbers are also a tuple of numbers)
        self, index: tuple[int, int, int]
    ) -> Action: ...

    @overload
    def __getitem__(self, index: int | slice | tuple[int | slice, ...]) -> Actions: ...

    def __getitem__(self, index: int | slice | tuple[int | slice, ...]) -> Action | Actions:
        given = index if isinstance(index, tuple) else (index,)
        if len(given) > 3:
            raise IndexError(f"{len(given)} indices: actions have three, layer, group and channel")
        chosen: list[list[int]] = []
        for axis, count in enumerate(self.matrices.shape[:3]):
            part = given[axis] if axis < len(given) else slice(None)
            if isinstance(part, slice):
                positions = list(range(count)[part])
            else:
                positions = [part % count] if -count <= part < count else []
            if not positions:
                name = ("layer", "group", "channel")[axis]
                raise IndexError(f"{name} {part}: these actions have {name}s 0 to {count - 1}")
            chosen.append(positions)
        if len(given) == 3 and not any(isinstance(part, slice) for part in given):
            return Action(self, (chosen[0][0], chosen[1][0], chosen[2][0]))
        layers, groups, channels = chosen
        part = copy.copy(self)
        part.matrices = self.matrices[layers][:, groups][:, :, channels]
        if self.basis is not None:
            part.basis = self.basis[layers][:, groups]
            if self.has_own_channels:
                part.basis = part.basis[:, :, channels]
        part.numbers = tuple(
            [numbers[i] for i in picked] for numbers, picked in zip(self.numbers, chosen, strict=True)
        )
        if self._records is not None:
            records = {record["key"]: record for record in self._records}
            part._records = [records[key] for key in part.keys]
        return part

    def __repr__(self) -> str:
        layers, groups, channels = self.matrices.shape[:3]
        return (
            f"Actions({self.name or 'unnamed'}: {layers} layers x {groups} groups x {channels} channels, "
            f"{self.dim} x {self.dim}, order {self.order})"
        )

    def diagnose(self) -> list[dict[str, Any]]:
        """What `diagnostics.diagnose` says about each action: the records of `actions.json`, in the order of iteration.

        Computed once; loaded actions come with theirs. Numbers that JSON does not know (the condition number of a
        singular action) are None.
        """
        if self._records is None:
            from .diagnostics import NULL, diagnose

            # Tied layers, and networks of fixed rotations, have the same action many times.
            distinct, which = self.matrices.flatten(3).flatten(0, 2).unique(dim=0, return_inverse=True)
            diagnosed = diagnose(distinct.unflatten(1, (self.dim, self.dim)), self.size, order=self.order)
            found = [diagnosed[i] for i in which.tolist()]
            self._null = _plain(NULL)
            self._records = [
                {"layer": layer, "group": group, "channel": channel, "key": _key(layer, group, channel), **_plain(record)}
                for (layer, group, channel), record in zip(itertools.product(*self.numbers), found, strict=True)
            ]  # fmt: skip
        return self._records

    def table(self) -> list[dict[str, Any]]:
        """`diagnose` as one flat row an action: every score and its z-score, and the nearest known operation."""
        rows = []
        for record in self.diagnose():
            row = {name: record[name] for name in ("layer", "group", "channel", "label")}
            for name, score in record["scores"].items():
                row[name], row[f"{name}_z"] = score["value"], score["z"]
            row["condition_number"], row["log_abs_det"] = record["condition_number"], record["log_abs_det"]
            best = record["nearest"][0] if record["nearest"] else {}
            row["nearest"], row["nearest_correlation"] = best.get("operation"), best.get("correlation")
            rows.append(row)
        return rows

    def save(self, folder: str | os.PathLike) -> None:
        """Write `actions.safetensors` and `actions.json`, each in one piece. (Basis filters belong to the model.)

        An action that no group has learned (`is_fixed`) is written once.
        """
        if self.is_fixed and len(self) > 1:
            return self[:1, :1, :1].save(folder)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = dict(zip(self.keys, self.matrices.flatten(0, 2).unbind(), strict=True))
        records = [json.dumps(record, allow_nan=False) for record in self.diagnose()]
        fields = {
            "format_version": FORMAT_VERSION,
            "model": {"name": self.name, "config": {**self.config, "group_order": self.order}},
            "null": self._null,
        }
        head = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)},\n" for key, value in fields.items()]
        text = "{\n" + "".join(head) + '"actions": [\n' + ",\n".join(records) + "\n]\n}\n"  # a line an action
        write_whole(folder / TENSORS_NAME, save(tensors, metadata={"format": "pt"}))
        write_whole(folder / RECORDS_NAME, text)


def download(repo_id: str, revision: str | None, names: list[str]) -> Path:
    """Some files of a repository, all of one commit: the folder that they are in.

    Raises:
        OSError: the repository cannot be read.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=names))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise OSError(f"{repo_id} is neither a folder nor a repository that can be read: {error}") from error


def load_actions(repo_or_folder: str | os.PathLike, revision: str | None = None) -> Actions:
    """The actions of a published model, from their two files alone.

    Args:
        repo_or_folder: a folder, else the name of a repository on the Hub.
        revision: branch, tag or commit of the repository.

    Raises:
        FileNotFoundError: there is no `actions.safetensors` or `actions.json`.
        OSError: the repository cannot be read.
        ValueError: a file is damaged, or the two do not belong together.

    Example:
        >>> actions = load_actions("user/lgn-mnist")
        >>> actions.matrices.shape  # layers, groups, channels, d, d
        torch.Size([4, 5, 1, 36, 36])
    """
    folder = Path(repo_or_folder)
    if not folder.is_dir():
        folder = download(str(repo_or_folder), revision, [TENSORS_NAME, RECORDS_NAME])
    for name in (TENSORS_NAME, RECORDS_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{repo_or_folder} has no {name}: `model.actions().save(folder)` writes it for a model of your own"
            )
    numbers, matrices = _read_tensors(folder / TENSORS_NAME)
    document = _read_records(folder / RECORDS_NAME)
    name, config = document["model"]["name"], document["model"]["config"]
    try:
        actions = Actions(matrices, config["group_order"], name=name, config=config)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    actions.numbers = numbers
    size = config.get("filter_size", actions.size)
    if size != actions.size:
        raise ValueError(f"{folder}: {RECORDS_NAME} has filter_size {size!r:.80}, {TENSORS_NAME} {actions.size}")
    records = {record["key"]: record for record in document["actions"]}
    described = {(_key(r["layer"], r["group"], r["channel"]), r["key"]) for r in document["actions"]}
    if described != {(key, key) for key in actions.keys} or len(described) != len(document["actions"]):
        raise ValueError(f"{folder}: {RECORDS_NAME} must have one record for each action of {TENSORS_NAME}")
    actions._records, actions._null = [records[key] for key in actions.keys], document["null"]
    if not actions.is_fixed or len(actions) > 1:
        return actions
    try:
        return _of_every_group(actions)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None


def _of_every_group(actions: Actions) -> Actions:
    """The one action of a network that learns none, for all its layers, groups and channels, as the network has it."""
    config = actions.config
    names = ["num_layers", "num_groups", *(["num_channels"] if config.get("action_sharing") == "channel" else [])]
    counts = [config.get(name, 1) for name in names] + [1] * (3 - len(names))
    if not all(type(count) is int and 1 <= count <= LARGEST_ORDER for count in counts):
        raise ValueError(f"{', '.join(names)} are {counts}: must be whole numbers from 1 to {LARGEST_ORDER}")
    whole = Actions(actions.matrices.expand(*counts, -1, -1), actions.order, name=actions.name, config=config)
    places = itertools.product(*whole.numbers)
    [record], whole._null = actions.diagnose(), actions._null
    whole._records = [
        {**record, "layer": layer, "group": group, "channel": channel, "key": key}
        for (layer, group, channel), key in zip(places, whole.keys, strict=True)
    ]
    return whole


def _key(layer: int, group: int, channel: int) -> str:
    return f"layers.{layer}.groups.{group}.channels.{channel}"


def _plain(value: Any) -> Any:
    """A record as JSON has it: no infinities, no NaN, and of numbers the digits that float32 matrices have, not rounding."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def _read_tensors(path: Path) -> tuple[tuple[Sequence[int], ...], Tensor]:
    """The numbers of layers, groups and channels, and their matrices (L, K, C, d, d)."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or incomplete ({error}): download or save it again") from None
    found = {}
    for key, matrix in tensors.items():
        numbers = re.fullmatch(r"layers\.(\d{1,6})\.groups\.(\d{1,6})\.channels\.(\d{1,6})", key, re.ASCII)
        position = tuple(int(number) for number in numbers.groups()) if numbers else ()
        if not numbers or _key(*position) != key:
            raise ValueError(f"{path} holds {key[:80]!r}: allowed are layers.L.groups.K.channels.C, L, K, C numbers")
        found[position] = matrix
    if not found:
        raise ValueError(f"{path} holds no action")
    shapes = sorted({(tuple(matrix.shape), str(matrix.dtype)) for matrix in found.values()})
    if len(shapes) > 1 or shapes[0][1] != "torch.float32":
        shown = ", ".join(f"{dtype.removeprefix('torch.')} {shape}" for shape, dtype in shapes[:3])
        raise ValueError(f"{path} holds matrices of {shown}: must be float32, d x d, all of one size")
    axes = tuple(sorted(set(axis)) for axis in zip(*found, strict=True))
    missing = next((position for position in itertools.product(*axes) if position not in found), None)
    if missing is not None:
        raise ValueError(f"{path} lacks {_key(*missing)}")
    counts = [len(axis) for axis in axes]
    return axes, torch.stack([found[position] for position in itertools.product(*axes)]).unflatten(0, counts)


# What `actions.json` must hold: a value of a type, [x] a list of x, (x, y) a pair, {str: x} an object of x under any
# names; any other object has the fields named here, and maybe more.
_NUMBER = int | float | None
_SCORE = {"value": int | float, "z": _NUMBER}
_RECORD = {
    "layer": int,
    "group": int,
    "channel": int,
    "key": str,
    "label": str | None,
    "scores": {str: _SCORE},
    "condition_number": _NUMBER,
    "log_abs_det": _NUMBER,
    "eigenvalues": [(_NUMBER, _NUMBER)],
    "singular_values": [_NUMBER],
    "nearest": [
        {"operation": str, "parameters": {str: str | int | float | None}, "correlation": int | float, "z": _NUMBER}
    ],
}
_MORE = {  # what a record may also have
    "cyclic_order": int,
    "cyclic_residuals": [_NUMBER],
    "power_separation": _NUMBER,
    "scale_levels": [_NUMBER],
}
_CONFIG = {str: str | bool | int | float | None}
_DOCUMENT = {"model": {"name": str | None, "config": _CONFIG}, "null": dict, "actions": [_RECORD]}


def _read_records(path: Path) -> dict[str, Any]:
    """`actions.json`, every field of the type that it should have, every number finite."""

    from .diagnostics import SCORES

    def number(text: str) -> int | float:
        value = int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text:.20} is no finite number")
        return value

    try:
        document = json.loads(path.read_bytes(), parse_int=number, parse_float=number, parse_constant=number)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or nested without end
        raise ValueError(f"{path} is damaged or incomplete ({error}): download or save it again") from None
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {version!r:.80}: must be {FORMAT_VERSION}")
    try:
        check_schema(document, _DOCUMENT)
        for i, record in enumerate(document["actions"]):
            check_schema(record["scores"], dict.fromkeys(SCORES, _SCORE), f"actions[{i}].scores")
            check_schema(record, {name: _MORE[name] for name in _MORE if name in record}, f"actions[{i}]")
        check_config(document["model"]["config"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return document


def check_config(config: Any) -> None:
    check_schema(config, _CONFIG, "model.config")
    check_schema(config, {"group_order": int}, "model.config")
    if config.get("action") == "rotation":
        check_schema(config, {"rotation_angle": int | float}, "model.config")
