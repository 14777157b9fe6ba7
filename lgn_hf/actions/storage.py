"""The two files of a network's actions: saved, loaded, and downloaded from the Hub.

`actions.safetensors` holds one float32 d x d matrix per action, named
`layers.{l}.groups.{k}.channels.{c}`. `actions.json` holds what the diagnostics say of each. A
network of fixed rotations has the same action for every group, and a network without groups has the
identity: that one action is saved once.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..files import write_whole
from ..repository import download
from .container import AXES, LARGEST_ORDER, Actions, action_key
from .schema import FORMAT_VERSION, read_document

TENSORS_NAME = "actions.safetensors"
RECORDS_NAME = "actions.json"


def save_actions(actions: Actions, folder: str | os.PathLike) -> None:
    """Write `actions.safetensors` and `actions.json`, each in one piece. The folder is created if it does not exist.

    Basis filters are not written: they belong to the model.
    """
    if actions.is_fixed:
        actions = actions[:1, :1, :1]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(zip(actions.keys, actions.matrices.flatten(0, 2).unbind(), strict=True))
    document = _document(actions)
    write_whole(folder / TENSORS_NAME, save(tensors, metadata={"format": "pt"}))
    write_whole(folder / RECORDS_NAME, document)


def _document(actions: Actions) -> str:
    """`actions.json`, with one line per action."""
    records = [json.dumps(record, allow_nan=False) for record in actions.diagnose()]
    fields = {
        "format_version": FORMAT_VERSION,
        "model": {"name": actions.name, "config": {**actions.config, "group_order": actions.order}},
        "null": actions._null,
    }
    head = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)},\n" for key, value in fields.items()]
    return "{\n" + "".join(head) + '"actions": [\n' + ",\n".join(records) + "\n]\n}\n"


def load_actions(repo_or_folder: str | os.PathLike, revision: str | None = None) -> Actions:
    """The actions of a published model, from their two files alone.

    Args:
        repo_or_folder: a folder, or the name of a repository on the Hub.
        revision: branch, tag or commit of the repository.

    Raises:
        FileNotFoundError: there is no `actions.safetensors` or no `actions.json`.
        OSError: the repository cannot be read.
        ValueError: a file is damaged, or the two do not belong together.

    Example:
        >>> actions = load_actions("model_cards/lgn-mnist")  # or a repository, "USER/lgn-mnist"
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
    document = read_document(folder / RECORDS_NAME)
    try:
        return _assembled(numbers, matrices, document)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None


def _read_tensors(path: Path) -> tuple[tuple[Sequence[int], ...], Tensor]:
    """The numbers of the layers, groups and channels, and their matrices (L, K, C, d, d)."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or incomplete ({error}): download or save it again") from None
    found = {}
    for key, matrix in tensors.items():
        numbers = re.fullmatch(r"layers\.(\d{1,6})\.groups\.(\d{1,6})\.channels\.(\d{1,6})", key, re.ASCII)
        position = tuple(int(number) for number in numbers.groups()) if numbers else ()
        if not numbers or action_key(*position) != key:
            raise ValueError(f"{path} holds {key[:80]!r}: allowed are layers.L.groups.K.channels.C, L, K, C numbers")
        found[position] = matrix
    if not found:
        raise ValueError(f"{path} holds no actions")
    shapes = sorted({(tuple(matrix.shape), str(matrix.dtype)) for matrix in found.values()})
    if len(shapes) > 1 or shapes[0][1] != "torch.float32":
        shown = ", ".join(f"{dtype.removeprefix('torch.')} {shape}" for shape, dtype in shapes[:3])
        raise ValueError(f"{path} holds matrices of {shown}: must be float32, d x d, all of the same size")
    axes = tuple(sorted(set(axis)) for axis in zip(*found, strict=True))
    missing = next((position for position in itertools.product(*axes) if position not in found), None)
    if missing is not None:
        raise ValueError(f"{path} lacks {action_key(*missing)}")
    counts = [len(axis) for axis in axes]
    return axes, torch.stack([found[position] for position in itertools.product(*axes)]).unflatten(0, counts)


def _assembled(numbers: tuple[Sequence[int], ...], matrices: Tensor, document: dict[str, Any]) -> Actions:
    """The actions of the two files.

    Raises:
        ValueError: the files do not belong together.
    """
    name, config = document["model"]["name"], document["model"]["config"]
    actions = Actions(matrices, config["group_order"], name=name, config=config, numbers=numbers)
    size = config.get("filter_size", actions.size)
    if size != actions.size:
        raise ValueError(f"{RECORDS_NAME} has filter_size {size!r:.80}, {TENSORS_NAME} {actions.size}")
    records = {record["key"]: record for record in document["actions"]}
    described = {(action_key(*(record[axis] for axis in AXES)), record["key"]) for record in document["actions"]}
    if described != {(key, key) for key in actions.keys} or len(described) != len(document["actions"]):
        raise ValueError(f"{RECORDS_NAME} must have one record for each action of {TENSORS_NAME}")
    actions._records, actions._null = [records[key] for key in actions.keys], document["null"]
    return _for_every_group(actions) if actions.is_fixed and len(actions) == 1 else actions


def _for_every_group(actions: Actions) -> Actions:
    """The one action of a network that learns none, repeated for all layers, groups and channels of the network."""
    config = actions.config
    names = ["num_layers", "num_groups", *(["num_channels"] if config.get("action_sharing") == "channel" else [])]
    counts = [config.get(name, 1) for name in names] + [1] * (3 - len(names))
    if not all(type(count) is int and 1 <= count <= LARGEST_ORDER for count in counts):
        raise ValueError(f"{', '.join(names)} are {counts}: must be whole numbers from 1 to {LARGEST_ORDER}")
    whole = Actions(actions.matrices.expand(*counts, -1, -1), actions.order, name=actions.name, config=config)
    [record], whole._null = actions.diagnose(), actions._null
    whole._records = [
        {**record, **dict(zip(AXES, place, strict=True)), "key": action_key(*place)}
        for place in itertools.product(*whole.numbers)
    ]
    return whole
