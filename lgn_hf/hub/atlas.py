"""The atlas: one self-contained page on which anyone looks at the actions of trained models, and acts with them.

`index.html` is `atlas.html` with the models' actions, basis filters and diagnostics in it as JSON. It needs no server and
loads nothing, so it works from a disk and as a static Space, of which `README.md` is the card.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCardData
from torch import Tensor

from ..actions import operation_text
from ..files import write_whole
from ..runs.trained_model import TrainedModel

PAGE_NAME, CARD_NAME = "index.html", "README.md"
TEMPLATE = Path(__file__).with_name("templates") / "atlas.html"
PLACEHOLDER = "ATLAS_DATA"
MAX_MEGABYTES = 50  # of the page: what a browser opens at once, on a phone too
MAX_TEXT = 160  # characters of a text that comes from a repository


def build_atlas(sources: Sequence[TrainedModel], out_dir: str | os.PathLike) -> Path:
    """Write the page and its Space's card, `index.html` and `README.md`, each in one piece.

    Args:
        sources: the models, in the order in which the page lists them; of the same name, the later are numbered.
        out_dir: is created if need be.

    Returns:
        `out_dir`.

    Raises:
        ValueError: no source, or more than a browser can open.

    Example:
        >>> build_atlas([open_trained_model("runs/lgn-mnist"), open_trained_model("user/lgn-cifar10")], "atlas")
        PosixPath('atlas')
    """
    if not sources:
        raise ValueError("an atlas shows at least one model: no source was given")
    out_dir = Path(out_dir)
    before, placeholder, after = TEMPLATE.read_text(encoding="utf-8").partition(PLACEHOLDER)
    assert placeholder, TEMPLATE
    page = (before + _script_safe(_document(sources)) + after).encode()
    if len(page) > MAX_MEGABYTES * 10**6:
        raise ValueError(
            f"the page of {_count(len(sources), 'model')} would have {len(page) / 1e6:.0f} MB, most of it matrices; "
            f"at most {MAX_MEGABYTES} MB: choose fewer models, or models with smaller filters"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(out_dir / PAGE_NAME, page)
    write_whole(out_dir / CARD_NAME, _card(sources))
    return out_dir


def atlas_title(sources: Sequence[TrainedModel]) -> str:
    """What the page, and its Space, is called."""
    names = _unique_names(sources)
    return f"Learned actions of {names[0]}" if len(names) == 1 else f"Atlas of learned actions: {len(names)} models"


# What the page is given


def _document(sources: Sequence[TrainedModel]) -> dict[str, Any]:
    names = list(
        dict.fromkeys(name for source in sources for record in source.actions.diagnose() for name in record["scores"])
    )
    models = [_model(source, name, names) for source, name in zip(sources, _unique_names(sources), strict=True)]
    return {"title": atlas_title(sources), "scores": [_text(name) for name in names], "models": models}


def _model(source: TrainedModel, name: str, scores: Sequence[str]) -> dict[str, Any]:
    actions = source.actions
    layers, groups, channels = (list(numbers) for numbers in actions.numbers)
    matrices, which = _distinct(actions.matrices.flatten(0, 2))
    shared = actions.basis is not None and not actions.has_own_channels  # all channels of a filter have one action
    return {
        "name": name,
        "dataset": _dataset(source),
        "facts": _facts(source),
        "size": actions.size,
        "order": actions.order,
        "rotation": actions.rotation_angle,
        "layers": layers,
        "groups": groups,
        "channels": list(range(actions.basis.shape[2])) if shared and actions.basis is not None else channels,
        "shared": shared,
        "matrices": _base64(matrices),
        "basis": None if actions.basis is None else _base64(actions.basis),
        "actions": [_record(record, matrix, scores) for record, matrix in zip(actions.diagnose(), which, strict=True)],
    }


def _record(record: dict[str, Any], matrix: int, scores: Sequence[str]) -> dict[str, Any]:
    """One record of `actions.json`, shorter: six digits are more than a page shows."""
    found = record["scores"]
    return {
        "matrix": matrix,
        "label": None if record["label"] is None else _text(record["label"]),
        "scores": [
            [_number(found[name][part]) for part in ("value", "z")] if name in found else None for name in scores
        ],
        **{name: _number(record.get(name)) for name in ("condition_number", "log_abs_det")},
        **{name: _number(record.get(name)) for name in ("cyclic_order", "power_separation")},
        "eigenvalues": [[_number(part) for part in pair] for pair in record["eigenvalues"] if None not in pair],
        "singular_values": [_number(value) for value in record["singular_values"] if value is not None],
        "nearest": [
            [_operation(near), _number(near["correlation"]), _number(near["z"])] for near in record["nearest"][:5]
        ],
    }


def _operation(near: dict[str, Any]) -> str:
    """The name of a nearest operation as a reader says it, whoever wrote the record."""
    name, parameters = near["operation"], near["parameters"]
    text = operation_text(name, parameters)
    if text is None:
        text = f"{name} {', '.join(f'{key}={value}' for key, value in parameters.items())}"
    return _text(("negated " if (near["correlation"] or 0) < 0 else "") + text)


def _facts(source: TrainedModel) -> list[list[str]]:
    """What is known of the model, as names and texts: what it is from its actions, how good from its results."""
    actions, results = source.actions, source.results
    layers, groups = actions.matrices.shape[:2]
    network = f"{_count(layers, 'layer')} of {_count(groups, 'group')} of order {actions.order}, filters {actions.size} \N{MULTIPLICATION SIGN} {actions.size}"
    kind = actions.config.get("action", "learned")
    if actions.rotation_angle is not None:
        kind = f"fixed rotations by multiples of {actions.rotation_angle:g}°"
    regularizer = actions.config.get("regularizer")
    note = results.get("data")
    note = note.get("note") if isinstance(note, dict) else None
    facts = {
        "Data set": _dataset(source),
        "Task": source.recipe.get("task"),
        "Test accuracy": _percent(results.get("test_accuracy")),
        "Test error": _percent(results.get("test_relative_error"), " of the images' energy missed"),
        "Network": network,
        "Actions": f"{kind}, {_count(len(actions.distinct()), 'matrix', 'matrices')} of {actions.dim} \N{MULTIPLICATION SIGN} {actions.dim}",
        "Regularizer": None if regularizer == "none" else regularizer,
        "Parameters": _plain(results.get("parameters")),
        "Epochs": _plain(results.get("epochs")),
        "Data": note,
    }
    return [[name, _text(text)] for name, text in facts.items() if isinstance(text, str) and text]


def _dataset(source: TrainedModel) -> str | None:
    return None if source.dataset is None else _text(source.dataset)


def _unique_names(sources: Sequence[TrainedModel]) -> list[str]:
    names: list[str] = []
    for source in sources:
        name = base = _text(source.name) or "unnamed"
        number = 1
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names


# The Space's card


def _card(sources: Sequence[TrainedModel]) -> str:
    repositories = [source.name for source in sources if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source.name, re.ASCII)]
    title = atlas_title(sources)
    head = SpaceCardData(
        title=title,
        emoji="🧭",
        colorFrom="blue",
        colorTo="red",
        sdk="static",
        app_file=PAGE_NAME,
        pinned=False,
        license="apache-2.0",
        short_description="Look at learned group actions, and act with them",
        tags=["linear-group-networks", "group-actions", "interpretability", "image-classification"],
        models=repositories or None,
    )
    text = (
        "A linear group network builds its filters as orbits *W, AW, A²W, ...* of one basis filter under a matrix *A* that it "
        "learned. This page shows those matrices: their heat maps, orbits and spectra, what they do to a patch that you paint, "
        "and what they resemble. It is one file that needs no server: `index.html`. `lgn-hf atlas` made it, from:"
    )
    lines = [f"- `{name.replace('`', chr(39))}`" for name in _unique_names(sources)]
    return f"---\n{head.to_yaml()}\n---\n\n# {_markdown(title)}\n\n{text}\n\n" + "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#!|&])", r"\\\1", text)


# Plain values


def _script_safe(document: dict[str, Any]) -> str:
    """JSON that ends no script element and means the same in HTML: ASCII, without <, > and &."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _base64(tensor: Tensor) -> str:
    """Little-endian float32, row-major."""
    return base64.b64encode(tensor.detach().contiguous().numpy().astype("<f4").tobytes()).decode()


def _distinct(matrices: Tensor) -> tuple[Tensor, list[int]]:
    """The different matrices, and which of them each one is: a rotation network has one for all groups."""
    first: dict[bytes, int] = {}
    which = [first.setdefault(matrix.numpy().tobytes(), len(first)) for matrix in matrices]
    return matrices[[which.index(i) for i in range(len(first))]], which


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _percent(value: Any, unit: str = "") -> str | None:
    value = _number(value)
    return None if value is None else f"{100 * value:.2f} %{unit}"


def _plain(value: Any) -> str | None:
    value = _number(value)
    return None if value is None else f"{value:,.10g}"


def _text(value: Any) -> str:
    """A text from a repository: on one line, and short enough to be shown."""
    text = "".join(character if character.isprintable() else " " for character in str(value)).strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
