"""A model's actions at a glance: the figures of a model card, and one row of numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from matplotlib.figure import Figure

from ..actions import Actions, rank, score_of, strongest
from .figures import action_gallery, effect_plot, orbit_plot, spectrum_plot

AXES = ("layer", "group", "channel")
STRUCTURES = ("skew_symmetry", "toeplitz", "multi_scale", "block_concentration")  # figures 1 and 7


def portraits(actions: Actions, most: int | None = None) -> dict[str, Figure]:
    """Figures by name: `gallery` and `spectra` of all distinct actions, `effects` (figure 2) and `orbits` of the action that
    has most of each of `STRUCTURES`, or of all where there are no more (no orbits where the basis filters are unknown or
    channels share an action).

    Args:
        most: of more actions, the gallery and the spectra have those that are furthest above chance.
    """
    own_axes = [axis for axis, shared in zip(AXES, actions.shared, strict=True) if not shared]
    actions = actions.distinct()
    every, records = list(actions), actions.diagnose()
    matrices = actions.matrices.flatten(0, 2)
    names = [", ".join(f"{axis} {getattr(action, axis)}" for axis in own_axes) or "every layer" for action in every]
    captions = [f"{record['label'] or 'unstructured'}\n{_strongest_text(record)}" for record in records]
    best = {name: i for i, name in enumerate(names)}
    if len(every) > len(STRUCTURES):
        firsts = [
            max(range(len(every)), key=lambda i: score_of(records[i], structure)["z"]) for structure in STRUCTURES
        ]
        best = {f"{text.replace('_', ' ')}: {names[i]}": i for text, i in zip(STRUCTURES, firsts, strict=True)}
    chosen, titles = [*best.values()], [*best]
    shown = sorted(sorted(range(len(every)), key=lambda i: rank(records[i]))[:most])
    titles_shown, captions_shown = ([texts[i] for i in shown] for texts in (names, captions))
    figures = {
        "gallery": action_gallery(matrices[shown], titles_shown, captions_shown, actions.size),
        "spectra": spectrum_plot(matrices[shown], actions.order, titles_shown),
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


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are numbers (a singular action has no condition number)."""
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
