"""Learning curves: how losses and a metric went during a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .page import axes_at, blank_figure
from .style import INK, PALETTE, RULE, TEXT, WIDTH, text_style, tick_style

HEIGHT = 2.6  # inches

History = Sequence[Mapping[str, Any]]


def learning_curve(history: History, metric: str, words: str) -> Figure:
    """Losses and a validation metric against epochs. A run without validation has its losses alone.

    The scale of losses is logarithmic where they fall by a factor of ten or more.

    Args:
        history: one record per validation, with `epoch` and any of `train_loss`, `validation_loss` and the metric.
        metric: its name in a record, without `validation_`.
        words: what the axis calls it.
    """
    validated = any(f"validation_{metric}" in record for record in history)
    width = 3.2 if validated else WIDTH - 0.8
    figure = blank_figure(WIDTH, HEIGHT)
    losses = _axes(figure, 0.65, width, "loss")
    values = [
        *_plot(losses, history, "train_loss", "training", PALETTE[0]),
        *_plot(losses, history, "validation_loss", "validation", PALETTE[1]),
    ]
    if values:
        losses.legend(frameon=False, fontsize=TEXT, labelcolor=INK)
        if max(values) >= 10 * min(values) > 0:
            losses.set_yscale("log")
    if validated:
        metrics = _axes(figure, 4.65, width, f"validation {words}")
        _plot(metrics, history, f"validation_{metric}", "validation", PALETTE[1])
    return figure


def _axes(figure: Figure, left: float, width: float, label: str) -> Axes:
    ax = axes_at(figure, left, 0.5, width, HEIGHT - 0.65)
    ax.set_xlabel("epochs", **text_style(INK))
    ax.set_ylabel(label, **text_style(INK))
    ax.grid(color=RULE, lw=0.4, alpha=0.5)
    tick_style(ax)
    return ax


def _plot(ax: Axes, history: History, name: str, label: str, colour: str) -> list[float]:
    """Draw a field of the history, and return its values."""
    points = [(record["epoch"], record[name]) for record in history if name in record]
    if not points:
        return []
    epochs, values = zip(*points, strict=True)
    ax.plot(epochs, values, color=colour, lw=1.4, marker="." if len(points) < 30 else "", label=label)
    return [*values]
