"""A model's actions at a glance: the figures of a model card, and one row of numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from matplotlib.figure import Figure

from ..actions import Actions, rank, strongest
from .effects import effect_plot
from .gallery import action_gallery
from .orbits import orbit_plot
from .spectra import spectrum_plot

AXES = ("layer", "group", "channel")
STRUCTURES = ("skew_symmetry", "toeplitz", "multi_scale", "block_concentration")  # figures 1 and 7


def action_figures(actions: Actions, most: int | None = None) -> dict[str, Figure]:
    """The figures of a model's distinct actions, by name.

    `gallery` and `spectra` show all actions. `effects` (figure 2) and `orbits` show, for each of `STRUCTURES`, the
    action that has most of it; they show all actions if there are no more than structures. There are no orbits if
    the basis filters are unknown or channels share an action.

    Args:
        most: how many actions the gallery and the spectra show: those that are furthest above chance.
    """
    own_axes = [axis for axis, shared in zip(AXES, actions.shared, strict=True) if not shared]
    actions = actions.distinct()
    every, records = list(actions), actions.diagnose()
    matrices = actions.matrices.flatten(0, 2)
    names = [", ".join(f"{axis} {getattr(action, axis)}" for axis in own_axes) or "every layer" for action in every]
    captions = [f"{record['label'] or 'unstructured'}\n{_strongest_text(record)}" for record in records]

    shown = sorted(sorted(range(len(every)), key=lambda i: rank(records[i]))[:most])
    shown_names = [names[i] for i in shown]
    titles = _most_of_each_structure(names, records)
    chosen = [*titles.values()]
    figures = {
        "gallery": action_gallery(matrices[shown], shown_names, [captions[i] for i in shown], actions.size),
        "spectra": spectrum_plot(matrices[shown], actions.order, shown_names),
        "effects": effect_plot(matrices[chosen], titles=[title.replace(": ", "\n") for title in titles]),
    }
    filters = [basis for basis in (every[i].basis for i in chosen) if basis is not None and basis.dim() == 2]
    if len(filters) == len(chosen):
        figures["orbits"] = orbit_plot(torch.stack(filters), matrices[chosen], actions.order, titles=[*titles])
    return figures


def action_summary(actions: Actions) -> dict[str, Any]:
    """One row of numbers about a model's distinct actions.

    Their count, their most frequent labels, and medians of condition number, of z-scores and of the correlation with
    the nearest known operation.
    """
    records = actions.distinct().diagnose()
    labels = Counter(record["label"] or "unstructured" for record in records)
    return {
        "actions": len(records),
        "labels": ", ".join(f"{label} ({count})" for label, count in labels.most_common(5)),
        "condition number": median_of(record["condition_number"] for record in records),
        **{f"{_words(name)} z": median_of(_z_of(record, name) for record in records) for name in STRUCTURES},
        "nearest operation": median_of(r["nearest"][0]["correlation"] if r["nearest"] else None for r in records),
    }


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are numbers (a singular action has no condition number)."""
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None


def _most_of_each_structure(names: list[str], records: list[dict[str, Any]]) -> dict[str, int]:
    """The action that has most of each structure: its title, and its number."""
    if len(names) <= len(STRUCTURES):
        return {name: i for i, name in enumerate(names)}
    best = [max(range(len(names)), key=lambda i: _z_of(records[i], structure) or 0.0) for structure in STRUCTURES]
    return {f"{_words(structure)}: {names[i]}": i for structure, i in zip(STRUCTURES, best, strict=True)}


def _z_of(record: dict[str, Any], structure: str) -> float | None:
    """The z-score of a structure; None where a record does not have it."""
    return record["scores"].get(structure, {}).get("z")


def _strongest_text(record: dict[str, Any]) -> str:
    name, score = strongest(record, record["scores"])
    return f"{_words(name)}\n{score['value']:.2f}, z = {score['z']:.0f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
