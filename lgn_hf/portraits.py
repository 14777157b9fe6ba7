"""A model's actions at a glance: the figures of a model card, and one row of numbers."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from matplotlib.figure import Figure

from .actions import Actions
from .plots import action_gallery, effect_plot, orbit_plot, spectrum_plot

STRUCTURES = ("skew_symmetry", "toeplitz", "multi_scale", "block_concentration")  # figures 1 and 7


def portraits(actions: Actions) -> dict[str, Figure]:
    """Figures by name: `gallery` of all actions, `spectra` of all, `effects` (figure 2) and `orbits` of the action that
    has most of each of `STRUCTURES` (no orbits where the basis filters are unknown or channels share an action)."""
    every, records = list(actions), actions.diagnose()
    matrices = actions.matrices.flatten(0, 2)
    names = [f"layer {action.layer}, group {action.group}, channel {action.channel}" for action in every]
    captions = [f"{record['label'] or 'unstructured'}\n{_strongest(record)}" for record in records]
    best = {
        structure: max(range(len(every)), key=lambda i: z_score(records[i], structure)) for structure in STRUCTURES
    }
    titles = [f"{structure.replace('_', ' ')}: {names[i]}" for structure, i in best.items()]
    figures = {
        "gallery": action_gallery(matrices, names, captions, actions.size),
        "spectra": spectrum_plot(matrices, actions.order, names),
        "effects": effect_plot(matrices[[*best.values()]], titles=[title.replace(": ", "\n") for title in titles]),
    }
    filters = [basis for basis in (every[i].basis for i in best.values()) if basis is not None and basis.dim() == 2]
    if len(filters) == len(best):
        figures["orbits"] = orbit_plot(torch.stack(filters), matrices[[*best.values()]], actions.order, titles=titles)
    return figures


def summary(actions: Actions) -> dict[str, Any]:
    """One row: how many actions, their most frequent labels, and medians of condition numbers, z-scores and correlations."""
    records = actions.diagnose()
    labels = Counter(record["label"] or "unstructured" for record in records)
    return {
        "actions": len(records),
        "labels": ", ".join(f"{label} ({count})" for label, count in labels.most_common(5)),
        "condition number": median_of(record["condition_number"] for record in records),
        **{f"{name.replace('_', ' ')} z": median_of(r["scores"][name]["z"] for r in records) for name in STRUCTURES},
        "nearest operation": median_of(r["nearest"][0]["correlation"] if r["nearest"] else None for r in records),
    }


def _strongest(record: dict[str, Any]) -> str:
    """The score that is furthest above chance, as text."""
    name = max(record["scores"], key=lambda name: z_score(record, name))
    score = record["scores"][name]
    return f"{name.replace('_', ' ')}\n{score['value']:.2f}, z = {score['z'] or 0:.0f}"


def z_score(record: dict[str, Any], name: str) -> float:
    """The z-score of a record of `actions.json`; minus infinity where it has none."""
    z = record["scores"][name]["z"]
    return -math.inf if z is None else z


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are numbers (a singular action has no condition number)."""
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
