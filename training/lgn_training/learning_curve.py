"""The learning curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lgn_hf.runs.task import Metric

CURVE_FILE = "learning_curve.png"


def learning_curve(history: Sequence[Mapping[str, Any]], metric: Metric) -> Figure:
    """Losses and the validation metric against epochs.

    Args:
        history: one record for each validation, as `RunResults` has them.
        metric: by which the best epoch is chosen.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    losses, metrics = figure.subplots(1, 2)
    for name, label in (("train_loss", "training"), ("validation_loss", "validation")):
        _plot(losses, history, name, label)
    losses.set(xlabel="epochs", ylabel="loss")
    if losses.lines:
        losses.legend()
    _plot(metrics, history, f"validation_{metric.name}", "validation")
    metrics.set(xlabel="epochs", ylabel=f"validation {metric.words}")
    for axes in (losses, metrics):
        axes.grid(alpha=0.3)
    return figure


def _plot(axes, history: Sequence[Mapping[str, Any]], name: str, label: str) -> None:
    points = [(record["epoch"], record[name]) for record in history if name in record]
    if points:
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else "", label=label)


def save_learning_curve(results: Mapping[str, Any], metric: Metric, folder: Path) -> None:
    """Write `learning_curve.png` into the folder of a run."""
    learning_curve(results["history"], metric).savefig(folder / CURVE_FILE, dpi=128)
