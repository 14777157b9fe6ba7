"""What the page of the atlas is given: the actions, basis filters and diagnostics of models, as plain JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..actions import operation_text
from ..runs.trained_model import TrainedModel
from ..texts import group_title

SAME = 1e-2  # relative distance of a power of an element from the identity
MAX_TEXT = 160  # characters of a text that comes from a repository


def atlas_document(sources: Sequence[TrainedModel]) -> dict[str, Any]:
    """The models of an atlas.

    Returns:
        `title`, the names of all `scores` that any action has, and `models`. The scores of an action are in the order
        of these names, None where it lacks one.
    """
    scores = [*dict.fromkeys(score for source in sources for r in source.actions.diagnose() for score in r["scores"])]
    models = [_model(source, name, scores) for source, name in zip(sources, unique_names(sources), strict=True)]
    return {"title": atlas_title(sources), "scores": [_text(name) for name in scores], "models": models}


def atlas_title(sources: Sequence[TrainedModel]) -> str:
    """The title of the page, and of its Space."""
    names = unique_names(sources)
    return f"Learned actions of {names[0]}" if len(names) == 1 else f"Atlas of learned actions: {len(names)} models"


def unique_names(sources: Sequence[TrainedModel]) -> list[str]:
    """The names of the models, see `numbered`."""
    return numbered([source.name for source in sources])


def numbered(texts: Sequence[str]) -> list[str]:
    """Names as a page shows them. Of the same name, the later ones are numbered."""
    names: list[str] = []
    for text in texts:
        name = base = _text(text) or "unnamed"
        number = 1
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names


def count_text(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


# Models and actions


def _model(source: TrainedModel, name: str, scores: Sequence[str]) -> dict[str, Any]:
    actions = source.actions
    layers, groups, channels = (list(numbers) for numbers in actions.numbers)
    matrices, which = _distinct(actions.matrices.flatten(0, 2))
    basis = actions.basis
    shared = basis is not None and not actions.has_own_channels  # all channels of a filter have one action
    return {
        "name": name,
        "dataset": _dataset(source),
        "facts": model_facts(source),
        "size": actions.size,
        "order": actions.order,
        "unit": "element" if _is_one_group(source) else "group",
        "rotation": actions.rotation_angle,
        "layers": layers,
        "groups": groups,
        "channels": list(range(basis.shape[2])) if shared and basis is not None else channels,
        "shared": shared,
        "matrices": _base64(matrices),
        "basis": None if basis is None else _base64(basis),
        "actions": [
            {**_record(record, matrix, scores), "order": order}
            for record, matrix, order in zip(actions.diagnose(), which, _orders(source), strict=True)
        ],
    }


def _is_one_group(source: TrainedModel) -> bool:
    """Whether the actions of a model are the elements of its one group."""
    return source.actions.config.get("model_type") == "lgn_convnet"


def _orders(source: TrainedModel) -> list[int | None]:
    """The order of each element of a group; None for generators, whose groups have the order of the model."""
    actions = source.actions
    if not _is_one_group(source):
        return [None] * len(actions)
    eye, powers, orders = torch.eye(actions.dim), actions.matrices.flatten(0, 2), [actions.order] * len(actions)
    distances = []
    for _ in range(actions.order):
        distances.append((powers - eye).flatten(1).norm(dim=1))
        powers = powers @ actions.matrices.flatten(0, 2)
    closed = torch.stack(distances, 1) < SAME * actions.size
    return [int(row.int().argmax()) + 1 if row.any() else order for row, order in zip(closed, orders, strict=True)]


def _record(record: dict[str, Any], matrix: int, scores: Sequence[str]) -> dict[str, Any]:
    """One record of `actions.json`, shorter: six digits are more than a page shows."""
    optional = ("condition_number", "log_abs_det", "cyclic_order", "power_separation")
    return {
        "matrix": matrix,
        "label": None if record["label"] is None else _text(record["label"]),
        "scores": [_score(record["scores"].get(name)) for name in scores],
        **{name: _number(record.get(name)) for name in optional},
        "eigenvalues": [[_number(part) for part in pair] for pair in record["eigenvalues"] if None not in pair],
        "singular_values": [_number(value) for value in record["singular_values"] if value is not None],
        "nearest": [
            [_operation(near), _number(near["correlation"]), _number(near["z"])] for near in record["nearest"][:5]
        ],
    }


def _score(score: dict[str, Any] | None) -> list[float | int | None] | None:
    return None if score is None else [_number(score.get("value")), _number(score.get("z"))]


def _operation(near: dict[str, Any]) -> str:
    """The name of a nearest operation in words, whoever wrote the record."""
    name, parameters = near["operation"], near["parameters"]
    text = operation_text(name, parameters)
    if text is None:
        text = f"{name} {', '.join(f'{key}={value}' for key, value in parameters.items())}"
    return _text(("negated " if (near["correlation"] or 0) < 0 else "") + text)


def model_facts(source: TrainedModel) -> list[list[str]]:
    """What is known of a model, as names and texts: its shape from its actions, its quality from its results."""
    actions, results = source.actions, source.results
    layers, groups = actions.matrices.shape[:2]
    filters = f"filters {actions.size} \N{MULTIPLICATION SIGN} {actions.size}"
    kind = actions.config.get("action", "learned")
    if actions.rotation_angle is not None:
        kind = f"fixed rotations by multiples of {actions.rotation_angle:g}°"
    network = f"{count_text(layers, 'layer')} of {count_text(groups, 'group')} of order {actions.order}, {filters}"
    matrices = count_text(len(actions.distinct()), "matrix", "matrices")
    if _is_one_group(source):
        name = group_title(str(actions.config.get("group_name", "one group")))
        network = (
            f"residual network over {name}, {filters}" if actions.order > 1 else f"residual network, free {filters}"
        )
        matrices = count_text(actions.order, "element")
    regularizer = actions.config.get("regularizer")
    data = results.get("data")
    facts = {
        "Data set": _dataset(source),
        "Task": source.task,
        "Test accuracy": _percent(results.get("test_accuracy")),
        "Test error": _percent(results.get("test_relative_error"), " of the images' energy missed"),
        "Network": network,
        "Actions": f"{kind}, {matrices} of {actions.dim} \N{MULTIPLICATION SIGN} {actions.dim}",
        "Regularizer": None if regularizer == "none" else regularizer,
        "Parameters": _grouped(results.get("parameters")),
        "Epochs": _grouped(results.get("epochs")),
        "Data": data.get("note") if isinstance(data, dict) else None,
    }
    return [[name, _text(text)] for name, text in facts.items() if isinstance(text, str) and text]


def _dataset(source: TrainedModel) -> str | None:
    return None if source.dataset is None else _text(source.dataset)


# Plain values


def _base64(tensor: Tensor) -> str:
    """Little-endian float32, row-major."""
    return base64.b64encode(tensor.detach().contiguous().numpy().astype("<f4").tobytes()).decode()


def _distinct(matrices: Tensor) -> tuple[Tensor, list[int]]:
    """The different matrices, and for each given one its number among them. All groups of a rotation network have one."""
    first: dict[bytes, int] = {}
    which = [first.setdefault(matrix.numpy().tobytes(), len(first)) for matrix in matrices]
    return matrices[[which.index(i) for i in range(len(first))]], which


def _number(value: Any) -> float | int | None:
    """A finite number with six digits, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _percent(value: Any, unit: str = "") -> str | None:
    number = _number(value)
    return None if number is None else f"{100 * number:.2f} %{unit}"


def _grouped(value: Any) -> str | None:
    """A number with commas between its thousands."""
    number = _number(value)
    return None if number is None else f"{number:,.10g}"


def _text(value: Any) -> str:
    """A text from a repository, on one line and short enough to be shown."""
    text = "".join(character if character.isprintable() else " " for character in str(value)).strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
