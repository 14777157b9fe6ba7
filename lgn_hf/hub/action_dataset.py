"""The actions of many models as a data set, which the viewer of the Hub sorts and filters."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, Features, Image, List, Value, load_dataset
from matplotlib import colormaps
from PIL import Image as Pictures
from torch import Tensor

from ..actions import MIN_Z, NULL, SCORES, Action, Actions, check_config, operation_text
from ..files import replacing, write_whole
from ..plotting import SIGNED
from ..runs.trained_model import TrainedModel

SIDE = 216  # pixels of a heat map, about
TILE = 54  # pixels of a filter, about
MOST_POWERS = 16  # in the picture of an orbit
RULE = np.array([87, 96, 106], dtype=np.float32)  # between the blocks of a heat map
DATA_NAME, CARD_NAME = "data/train-00000-of-00001.parquet", "README.md"

_NUMBER, _TEXT, _COUNT = Value("float64"), Value("string"), Value("int32")
FEATURES = Features(
    {
        "heat_map": Image(),
        "orbit": Image(),
        "model": _TEXT,
        "dataset": _TEXT,
        "task": _TEXT,
        "layer": _COUNT,
        "group": _COUNT,
        "channel": _COUNT,
        "label": _TEXT,
        "nearest": _TEXT,
        "nearest_correlation": _NUMBER,
        "nearest_z": _NUMBER,
        **{f"{name}{suffix}": _NUMBER for name in SCORES for suffix in ("", "_z")},
        "condition_number": _NUMBER,
        "log_abs_det": _NUMBER,
        "cyclic_order": _COUNT,
        "power_separation": _NUMBER,
        "nearest_operation": _TEXT,
        "nearest_parameters": _TEXT,
        "order": _COUNT,
        "size": _COUNT,
        "key": _TEXT,
        "singular_values": List(_NUMBER),
        "eigenvalues": List(List(_NUMBER)),
        "matrix": List(List(Value("float32"))),
        "basis": List(List(List(Value("float32")))),
        "config": _TEXT,
    }
)
COLUMNS = {  # what the card says of them
    "heat_map": "the matrix, blue below zero, white at zero, red above, scaled to its largest entry; lines part its blocks",
    "orbit": f"the filters W, AW, A²W, ... that the model uses ({MOST_POWERS} at most), each scaled to its largest entry; "
    "a row each where channels share the action",
    "model, dataset, task": "where the action comes from",
    "layer, group, channel": "its place in the model",
    "label": f"its name, where it is far outside chance (z above {MIN_Z:g} and most of its energy); else null",
    "nearest, nearest_correlation, nearest_z": "the known operation that it is most like, its correlation, and how far "
    "above chance; `nearest_operation` and `nearest_parameters` (JSON) are its parts",
    ", ".join(SCORES): "how much of the structure the matrix has, from 0 to 1",
    "..._z": f"the same in standard deviations above chance ({NULL['scores']}; orthogonality: {NULL['orthogonality']})",
    "condition_number, log_abs_det": "null where the matrix is singular",
    "cyclic_order": "the q, from 1 to 24, whose power of the matrix is nearest to a multiple of the identity",
    "power_separation": "how far the elements of the group stay apart: 0 where two are proportional",
    "order, size": "elements of the group, and pixels of a filter's side: the matrix is size² x size²",
    "singular_values, eigenvalues": "largest first; eigenvalues as pairs of real and imaginary part",
    "matrix": "the action itself, float32, on column-major vec of a filter",
    "basis": "the filters W that it acts on in the model, (filters, size, size); null where they are unknown",
    "key, config": "the name of the matrix in the model's `actions.safetensors`, and the model's configuration (JSON)",
}


# The data set


def actions_dataset(sources: Sequence[TrainedModel]) -> Dataset:
    """The actions of some models as a data set, a row each; `COLUMNS` says what the columns are.

    Raises:
        ValueError: no model, or two of the same name.

    Example:
        >>> rows = actions_dataset([open_trained_model("runs/lgn-mnist"), open_trained_model("user/lgn-cifar10")])
        >>> rows.filter(lambda row: (row["label"] or "").startswith("rotation") and row["nearest_z"] > 5).num_rows
        6
    """
    names = [source.name for source in sources]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"a data set is of at least one model, each of another name: got {', '.join(names) or 'none'}"
        )
    rows = [row for source in sources for row in _rows(source)]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in FEATURES}, features=FEATURES)


def _rows(source: TrainedModel) -> Iterable[dict[str, Any]]:
    actions, task = source.actions, source.recipe.get("task")
    shared = {
        "model": source.name,
        "dataset": None if source.dataset is None else str(source.dataset),
        "task": None if task is None else str(task),
        "order": actions.order,
        "size": actions.size,
        "config": json.dumps({**actions.config, "group_order": actions.order}),
    }
    for action, record, row in zip(actions, actions.diagnose(), actions.table(), strict=True):
        best = record["nearest"][0] if record["nearest"] else {}
        basis = None if action.basis is None else action.basis.reshape(-1, action.size, action.size)
        yield {
            **dict.fromkeys(FEATURES),
            **{name: value for name, value in row.items() if name in FEATURES},
            **shared,
            "heat_map": _png(heat_map(action.matrix)),
            "orbit": None if basis is None else _png(orbit_picture(action)),
            "key": action.key,
            "nearest": (operation_text(best["operation"], best["parameters"]) or best["operation"]) if best else None,
            "nearest_operation": best.get("operation"),
            "nearest_parameters": json.dumps(best["parameters"]) if best else None,
            "nearest_z": best.get("z"),
            "cyclic_order": record.get("cyclic_order"),
            "power_separation": record.get("power_separation"),
            "singular_values": record["singular_values"],
            "eigenvalues": record["eigenvalues"],
            "matrix": action.matrix.numpy(),
            "basis": None if basis is None else basis.numpy(),
        }


def load_actions_dataset(dataset: str | os.PathLike | Dataset | DatasetDict) -> dict[str, Actions]:
    """The actions in a data set that `actions_dataset` made, by the names of their models: every bit of every matrix.

    Args:
        dataset: the data set, or what `datasets.load_dataset` finds it by, such as USER/NAME.

    Raises:
        ValueError: the data set holds something else.
    """
    if isinstance(dataset, (str, os.PathLike)):
        dataset = load_dataset(os.fspath(dataset), split="train")
    rows = dataset["train"] if isinstance(dataset, DatasetDict) else dataset
    wanted = ["model", "layer", "group", "channel", "order", "config", "matrix", "basis"]
    missing = [name for name in wanted if name not in rows.column_names]
    if missing:
        raise ValueError(f"this data set has no {', '.join(missing)}: it is none of actions")
    table = rows.select_columns(wanted).with_format("arrow")[:]
    columns = [table[name].to_pylist() for name in wanted[:-2]] + [list(table[name]) for name in wanted[-2:]]
    found: dict[str, dict[tuple[int, int, int], tuple[Any, ...]]] = {}
    for model, layer, group, channel, *rest in zip(*columns, strict=True):
        found.setdefault(model, {})[layer, group, channel] = tuple(rest)
    return {name: _restored(name, parts) for name, parts in found.items()}


def _restored(name: str, parts: dict[tuple[int, int, int], tuple[Any, ...]]) -> Actions:
    """One model's actions from their places and (order, config, matrix, basis)."""
    axes = tuple(sorted(set(axis)) for axis in zip(*parts, strict=True))
    places = list(itertools.product(*axes)) if math.prod(map(len, axes)) == len(parts) else []
    orders = {(order, config) for order, config, _, _ in parts.values()}
    if len(orders) > 1 or not all(place in parts for place in places) or not places:
        raise ValueError(f"the data set does not hold all actions of {name!r:.80}: load it before filtering it")
    order, config = orders.pop()
    try:
        config = json.loads(config)
        check_config(config)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the config of {name!r:.80} is none of a model ({error})") from None
    counts = [len(axis) for axis in axes]
    matrices = torch.stack([_tensor(parts[place][2], -1) for place in places]).unflatten(0, counts)
    bases = [parts[place][3] for place in places]
    basis = None
    if all(base.is_valid for base in bases):
        size = math.isqrt(matrices.shape[-1])
        filters = torch.stack([_tensor(base, size, size) for base in bases]).unflatten(0, counts)
        basis = filters.flatten(2, 3)
    actions = Actions(matrices, order, basis=basis, name=name, config=config)
    actions.numbers = axes
    return actions


def _tensor(cell: Any, *shape: int) -> Tensor:
    """A nested list in an Arrow table, the sizes of whose inner lists are known, as it is."""
    values = cell.values
    for _ in shape:
        values = values.flatten()
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(cell), *shape))


# Pictures


def heat_map(matrix: Tensor) -> Pictures.Image:
    """A matrix as in the figures: diverging colours about zero, its n x n blocks ruled; some 216 pixels a side."""
    size = math.isqrt(len(matrix))
    scale = max(1, round(SIDE / len(matrix)))
    pixels = _enlarged(_coloured(matrix), scale)
    if scale > 1:
        for start in range(size, len(matrix), size):
            for line in (pixels[start * scale], pixels[:, start * scale]):
                line[:] = np.rint(0.6 * line + 0.4 * RULE)
    return Pictures.fromarray(pixels)


def orbit_picture(action: Action) -> Pictures.Image:
    """The filters of an action side by side, W first, some 54 pixels each; a row for each channel that shares it.

    Raises:
        ValueError: the basis filters are unknown.
    """
    orbit = action.orbit(powers=range(min(action.order, MOST_POWERS)))  # (p, n, n) or (C, p, n, n)
    tiles = orbit.reshape(-1, *orbit.shape[-3:])
    scale, gap = max(1, round(TILE / action.size)), 6
    side = action.size * scale
    rows, columns = tiles.shape[:2]
    sheet = np.full((rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, dtype=np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (side + gap), column * (side + gap)
        sheet[top : top + side, left : left + side] = _enlarged(_coloured(tiles[row, column]), scale)
    return Pictures.fromarray(sheet)


def _coloured(values: Tensor) -> np.ndarray:
    """(rows, columns) to (rows, columns, 3) uint8, the largest entry at an end of the scale."""
    reach = values.abs().max().item() or 1.0
    return _colours()[np.minimum((values.double().numpy() / reach + 1) * 128, 255).astype(np.uint8)]


@lru_cache(maxsize=1)
def _colours() -> np.ndarray:
    """The 256 colours of the scale: (256, 3) uint8."""
    return np.asarray(colormaps[SIGNED](np.arange(256), bytes=True))[:, :3]


def _enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)


def _png(picture: Pictures.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


# The repository


def build_actions_dataset(
    sources: Sequence[TrainedModel], folder: str | os.PathLike, repo_id: str | None = None
) -> Path:
    """Make the folder that is a data set on the Hub: `README.md`, its card, and the rows as Parquet.

    Args:
        sources: the models.
        folder: is created if need be.
        repo_id: where it will be published, which the card's example loads.

    Returns:
        `folder`.

    Raises:
        ValueError: see `actions_dataset`.
    """
    rows = actions_dataset(sources)
    folder = Path(folder)
    path = folder / DATA_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        rows.to_parquet(temporary)
    write_whole(folder / CARD_NAME, dataset_card(rows, repo_id))
    return folder


def dataset_card(rows: Dataset, repo_id: str | None = None) -> str:
    """The card of a data set of actions: metadata for the Hub, what the columns are, how to read it."""
    from huggingface_hub import DatasetCardData

    from .cards import escaped

    models = {
        model: (dataset, task)
        for model, dataset, task in zip(rows["model"], rows["dataset"], rows["task"], strict=True)
    }
    metadata = DatasetCardData(
        license="apache-2.0",
        pretty_name="Learned group actions of "
        + (next(iter(models)) if len(models) == 1 else f"{len(models)} models"),
        tags=["lgn", "linear-group-network", "group-actions", "interpretability", "image"],
        size_categories=["n<1K" if len(rows) < 1000 else "1K<n<10K" if len(rows) < 10_000 else "10K<n<100K"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    )
    columns = "\n".join(f"| `{name.replace(', ', '`, `')}` | {meaning} |" for name, meaning in COLUMNS.items())
    listed = "\n".join(
        "| {} | {} | {} | {} |".format(*escaped([model, dataset or "", task or ""]), rows["model"].count(model))
        for model, (dataset, task) in models.items()
    )
    name = json.dumps(repo_id or "USER/NAME")
    return f"""---
{metadata}
---

# Learned group actions

The filters of a Linear Group Network are orbits W, AW, A²W, ... under matrices A that it learns. Here is each such matrix
of these models, with its picture, its orbit and what it looks like beside chance:

| model | data | task | actions |
|---|---|---|---|
{listed}

The viewer above sorts and filters every column: `label` names what an action is, a `..._z` column how far outside chance.

```python
from datasets import load_dataset

rows = load_dataset({name}, split="train")
rotations = rows.filter(lambda row: "rotation" in (row["label"] or "") and row["nearest_z"] > 5)
```

With the package lgn-hf, `lgn_hf.hub.action_dataset.load_actions_dataset({name})` gives the actions of
each model, bit for bit, to apply and to compare.

| column | |
|---|---|
{columns}

```bibtex
@article{{theodosis2023learning,
  title  = {{Learning Linear Groups in Neural Networks}},
  author = {{Theodosis, Emmanouil and Helwani, Karim and Ba, Demba}},
  year   = {{2023}}
}}
```
"""


def push_actions_dataset(
    sources: Sequence[TrainedModel], folder: str | os.PathLike, repo_id: str, *, private: bool = False
) -> str:
    """`build_actions_dataset`, then publish it in one commit (none where nothing differs). Returns its address.

    Raises:
        ValueError: see `actions_dataset`.
        PublishError: the Hub refuses or cannot be reached; the folder stays.
    """
    from .upload import upload

    folder = build_actions_dataset(sources, folder, repo_id)
    return upload(folder, [CARD_NAME, DATA_NAME], repo_id, "dataset", private=private)
