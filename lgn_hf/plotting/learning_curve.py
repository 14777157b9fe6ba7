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
    """Losses on a logarithmic scale, and a validation metric, against epochs.

    Args:
        history: one record per validation, with `epoch` and any of `train_loss`, `validation_loss` and the metric.
        metric: its name in a record, without `validation_`.
        words: what the axis calls it.
    """
    figure = blank_figure(WIDTH, HEIGHT)
    losses, metrics = (axes_at(figure, left, 0.5, 3.2, HEIGHT - 0.65) for left in (0.65, 4.65))
    _plot(losses, history, "train_loss", "training", PALETTE[0])
    _plot(losses, history, "validation_loss", "validation", PALETTE[1])
    _plot(metrics, history, f"validation_{metric}", "validation", PALETTE[1])
    if losses.lines:
        losses.set_yscale("log")
        losses.legend(frameon=False, fontsize=TEXT, labelcolor=INK)
    for ax, label in ((losses, "loss"), (metrics, f"validation {words}")):
        ax.set_xlabel("epochs", **text_style(INK))
        ax.set_ylabel(label, **text_style(INK))
        ax.grid(color=RULE, lw=0.4, alpha=0.5)
        tick_style(ax)
    return figure


def _plot(ax: Axes, history: History, name: str, label: str, colour: str) -> None:
    points = [(record["epoch"], record[name]) for record in history if name in record]
    if points:
        epochs, values = zip(*points, strict=True)
        ax.plot(epochs, values, color=colour, lw=1.4, marker="." if len(points) < 30 else "", label=label)
