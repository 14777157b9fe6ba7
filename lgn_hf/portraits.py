"""A model's actions at a glance: the figures of a model card, and one row of numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from matplotlib.figure import Figure

from .actions import Actions
from .plots import action_gallery, effect_plot, orbit_plot, spectrum_plot

AXES = ("layer", "group", "channel")
NEAREST = "nearest"
STRUCTURES = ("skew_symmetry", "toeplitz", "multi_scale", "block_concentration")  # figures 1 and 7


def portraits(actions: Actions) -> dict[str, Figure]:
    """Figures by name: `gallery` of all distinct actions, `spectra` of all, `effects` (figure 2) and `orbits` of the action
    that has most of each of `STRUCTURES`, or of all where there are no more (no orbits where the basis filters are unknown
    or channels share an action)."""
    own_axes = [axis for axis, shared in zip(AXES, actions.shared, strict=True) if not shared]
    actions = actions.distinct()
    every, records = list(actions), actions.diagnose()
    matrices = actions.matrices.flatten(0, 2)
    names = [", ".join(f"{axis} {getattr(action, axis)}" for axis in own_axes) or "every layer" for action in every]
    captions = [f"{record['label'] or 'unstructured'}\n{_strongest_text(record)}" for record in records]
    best = {name: i for i, name in enumerate(names)}
    if len(every) > len(STRUCTURES):
        most = [max(range(len(every)), key=lambda i: score_of(records[i], structure)["z"]) for structure in STRUCTURES]
        best = {f"{text.replace('_', ' ')}: {names[i]}": i for text, i in zip(STRUCTURES, most, strict=True)}
    chosen, titles = [*best.values()], [*best]
    figures = {
        "gallery": action_gallery(matrices, names, captions, actions.size),
        "spectra": spectrum_plot(matrices, actions.order, names),
        "effects": effect_plot(matrices[chosen], titles=[title.replace(": ", "\n") for title in titles]),
    }
    filters = [basis for basis in (every[i].basis for i in chosen) if basis is not None and basis.dim() == 2]
    if len(filters) == len(chosen):
        figures["orbits"] = orbit_plot(torch.stack(filters), matrices[chosen], actions.order, titles=titles)
    return figures


def summary(actions: Actions) -> dict[str, Any]:
    """One row: how many distinct actions, their most frequent labels, and medians of condition numbers, z-scores and correlations."""
    records = actions.distinct().diagnose()
    labels = Counter(record["label"] or "unstructured" for record in records)
    return {
        "actions": len(records),
        "labels": ", ".join(f"{label} ({count})" for label, count in labels.most_common(5)),
        "condition number": median_of(record["condition_number"] for record in records),
        **{f"{name.replace('_', ' ')} z": median_of(r["scores"][name]["z"] for r in records) for name in STRUCTURES},
        "nearest operation": median_of(r["nearest"][0]["correlation"] if r["nearest"] else None for r in records),
    }


def _strongest_text(record: dict[str, Any]) -> str:
    name, score = strongest(record, record["scores"])
    return f"{name.replace('_', ' ')}\n{score['value']:.2f}, z = {score['z']:.0f}"


def strongest(record: dict[str, Any], names: Iterable[str] | None = None) -> tuple[str, dict[str, float]]:
    """Of some scores of a record of `actions.json`, by default of all and of the `nearest` known operation, the one that is
    furthest above chance: its name, and what `score_of` says."""
    found = {name: score_of(record, name) for name in names or [*record["scores"], NEAREST]}
    return max(found.items(), key=lambda item: item[1]["z"])


def score_of(record: dict[str, Any], name: str) -> dict[str, float]:
    """value and z of a score, or of the `nearest` known operation; what is missing counts as nothing."""
    if name != NEAREST:
        score = record["scores"][name]
    elif record["nearest"]:
        score = {"value": record["nearest"][0]["correlation"], "z": record["nearest"][0]["z"]}
    else:
        score = {}
    return {key: score.get(key) or 0.0 for key in ("value", "z")}


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are numbers (a singular action has no condition number)."""
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
