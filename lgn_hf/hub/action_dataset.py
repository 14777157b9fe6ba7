"""The actions of many models as a data set that the viewer of the Hub sorts and filters, and back."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import DatasetCard, DatasetCardData
from PIL import Image
from torch import Tensor

from ..actions import Actions, check_config, operation_text
from ..files import Output, replacing, write_whole
from ..plotting import matrix_thumbnail, orbit_thumbnail
from ..runs.trained_model import TrainedModel
from .action_columns import FEATURES, MEANINGS

DATA_NAME, CARD_NAME = "data/train-00000-of-00001.parquet", "README.md"
TEMPLATE = Path(__file__).with_name("templates") / "dataset.md.jinja"
OUTPUT = Output((CARD_NAME, DATA_NAME), CARD_NAME, "\n# Learned group actions\n")
WANTED = ("model", "layer", "group", "channel", "order", "config", "matrix", "basis")  # to have the actions again


# From models to rows


def actions_dataset(sources: Sequence[TrainedModel]) -> Dataset:
    """The actions of some models as a data set, one row per action. `action_columns` has the columns.

    A score that a model's files lack is null. A score that has no column is left out.

    Raises:
        ValueError: there is no model, or two have the same name.

    Example:
        >>> from lgn_hf.runs.trained_model import open_trained_model
        >>> names = ["model_cards/lgn-mnist", "model_cards/lgn-cifar10"]
        >>> rows = actions_dataset([open_trained_model(name) for name in names])
        >>> rows.num_rows, sum(label is not None for label in rows["label"])
        (80, 4)
    """
    names = [source.name for source in sources]
    if not names or len(set(names)) < len(names):
        given = ", ".join(names) or "none"
        raise ValueError(f"a data set needs at least one model, and each needs another name: got {given}")
    rows = [row for source in sources for row in _rows(source)]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in FEATURES}, features=FEATURES)


def _rows(source: TrainedModel) -> Iterable[dict[str, Any]]:
    actions = source.actions
    shared = {
        "model": source.name,
        "dataset": None if source.dataset is None else str(source.dataset),
        "task": source.task,
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
            "heat_map": _png(matrix_thumbnail(action.matrix)),
            "orbit": None if basis is None else _png(orbit_thumbnail(action)),
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


def _png(picture: Image.Image) -> dict[str, Any]:
    """As the data set stores an image."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


# From rows to actions


def load_actions_dataset(dataset: str | os.PathLike | Dataset | DatasetDict) -> dict[str, Actions]:
    """The actions in a data set that `actions_dataset` made, by the names of their models, bit for bit.

    Args:
        dataset: the data set, or a name or folder for `datasets.load_dataset`, such as USER/NAME.

    Raises:
        ValueError: the data set does not hold actions, or not all actions of a model.
    """
    if isinstance(dataset, (str, os.PathLike)):
        dataset = load_dataset(os.fspath(dataset), split="train")
    rows = dataset["train"] if isinstance(dataset, DatasetDict) else dataset
    missing = [name for name in WANTED if name not in rows.column_names]
    if missing:
        raise ValueError(f"not a data set of actions: it has no {', '.join(missing)}")
    table: Any = rows.select_columns([*WANTED]).with_format("arrow")[:]
    # Matrices and filters stay in Arrow: lists of Python floats would take long.
    columns = [list(table[name]) if name in ("matrix", "basis") else table[name].to_pylist() for name in WANTED]
    found: dict[str, dict[tuple[int, int, int], tuple[Any, ...]]] = {}
    for model, layer, group, channel, *rest in zip(*columns, strict=True):
        found.setdefault(model, {})[layer, group, channel] = tuple(rest)
    return {name: _restored(name, parts) for name, parts in found.items()}


def _restored(name: str, parts: dict[tuple[int, int, int], tuple[Any, ...]]) -> Actions:
    """The actions of one model, from (order, config, matrix, basis) at each (layer, group, channel)."""
    axes = tuple(sorted(set(axis)) for axis in zip(*parts, strict=True))
    places = list(itertools.product(*axes)) if math.prod(map(len, axes)) == len(parts) else []
    orders = {(order, config) for order, config, _, _ in parts.values()}
    if len(orders) > 1 or not all(place in parts for place in places) or not places:
        raise ValueError(f"the data set does not hold all actions of {name!r:.80}: load it before you filter it")
    order, config = orders.pop()
    try:
        config = json.loads(config)
        check_config(config)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the config of {name!r:.80} is not that of a model ({error})") from None
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
    """A nested list in an Arrow table: a tensor of its length and the `shape` of its items."""
    values = cell.values
    for _ in shape:
        values = values.flatten()
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(cell), *shape))


# The repository


def build_actions_dataset(
    sources: Sequence[TrainedModel], folder: str | os.PathLike, repo_id: str | None = None, lab: str | None = None
) -> Path:
    """Write the folder of a data set on the Hub: `README.md`, its card, and the rows as Parquet.

    Args:
        sources: the models.
        folder: new, empty, or an earlier data set of actions, which is replaced.
        repo_id: the repository that the card's example loads.
        lab: a static Space, USER/NAME, in whose lab the classifiers can be opened; the card links to it.

    Returns:
        `folder`.

    Raises:
        ValueError: see `actions_dataset`, or `folder` holds something else.
    """
    OUTPUT.check(folder)
    rows = actions_dataset(sources)
    folder = Path(folder)
    path = folder / DATA_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        rows.to_parquet(temporary)
    write_whole(folder / CARD_NAME, dataset_card(rows, repo_id, lab))
    return folder


def push_actions_dataset(
    sources: Sequence[TrainedModel],
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool = False,
    lab: str | None = None,
) -> str:
    """Build the folder of a data set (`build_actions_dataset`) and publish it.

    It takes one commit, or none if nothing differs.

    Returns:
        the address of the data set.

    Raises:
        ValueError: see `actions_dataset`.
        PublishError: the Hub refuses or cannot be reached. The folder stays.
    """
    from .upload import upload

    folder = build_actions_dataset(sources, folder, repo_id, lab)
    return upload(folder, [CARD_NAME, DATA_NAME], repo_id, "dataset", private=private)


def dataset_card(rows: Dataset, repo_id: str | None = None, lab: str | None = None) -> str:
    """The card of a data set of actions: metadata for the Hub, its models, how to load it, its columns.

    With `lab`, a static Space, each classifier has a link that opens it in the lab of this Space.
    """
    from .cards import escaped
    from .cards.escaping import Code
    from .lab import lab_address

    counts = Counter(zip(rows["model"], rows["dataset"], rows["task"], strict=True))
    models = [
        {
            "name": model,
            "dataset": dataset,
            "task": task,
            "actions": count,
            "lab": Code(lab_address(lab, model)) if lab and task == "classification" else None,
        }
        for (model, dataset, task), count in counts.items()
    ]
    subject = models[0]["name"] if len(models) == 1 else f"{len(models)} models"
    metadata = DatasetCardData(
        license="apache-2.0",
        pretty_name=f"Learned group actions of {subject}",
        tags=["lgn", "linear-group-network", "group-actions", "interpretability", "image"],
        size_categories=["n<1K" if len(rows) < 1000 else "1K<n<10K" if len(rows) < 10_000 else "10K<n<100K"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    )
    card = DatasetCard.from_template(
        metadata,
        template_path=str(TEMPLATE),
        models=escaped(models),
        has_lab=any(model["lab"] for model in models),
        address=json.dumps(repo_id or "USER/NAME"),
        columns=[(f"`{names.replace(', ', '`, `')}`", meaning) for names, meaning in MEANINGS.items()],
    )
    return f"{card}\n"
