"""What searches found where the symmetry was destroyed, and what was found in the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .panels import add_legend
from .sheet import Cell, Sheet, columns_for
from .style import CARD, INK, MARK, PALETTE, RULE, text_style, tick_style

BINS = 12


def null_plot(
    null: Mapping[int, Sequence[float]],
    found: Mapping[int, Sequence[float]],
    others: Mapping[int, float] | None = None,
    *,
    axis: str = "mismatch",
) -> Figure:
    """Histograms of the null, one panel per order, with lines where the found actions are.

    An action far to the left of its histogram is one that chance does not explain.

    Args:
        null: order -> the mismatch at which each search without symmetry ended.
        found: order -> the mismatch of each action that was found.
        others: order -> the smallest mismatch of the search in the data, drawn where nothing of that order was found.
        axis: the name of the horizontal axis.

    Raises:
        ValueError: there is no order, or a number is not finite.
    """
    numbers = [*(x for values in null.values() for x in values), *(x for values in found.values() for x in values)]
    numbers += list((others or {}).values())
    if not null or not numbers or not np.isfinite(numbers).all():
        raise ValueError(f"{len(null)} orders of null values; expected one list of finite numbers for each order")
    low, high = min(numbers), max(numbers)
    room = 0.06 * (high - low or 1.0)
    bins = np.linspace(low - room, high + room, BINS * 3)
    columns = columns_for(len(null), 3)
    cell = Cell(2.35, aspect=0.62, gap=0.3, below=0.42)
    sheet = Sheet(columns, cell, left=0.45, foot=0.5, narrowest=5.2)
    figure, axes = sheet.lay_out([f"order {order}" for order in null])
    styles = {
        "searches without symmetry": {"color": PALETTE[0], "lw": 6},
        "found": {"color": MARK, "lw": 2},
        "best of the data, not found": {"color": RULE, "lw": 2, "ls": "--"},
    }
    drawn = {"searches without symmetry"}
    for index, (ax, (order, values)) in enumerate(zip(axes, null.items(), strict=True)):
        ax.hist(values, bins=list(bins), color=PALETTE[0], edgecolor=CARD, lw=0.4)
        for value in found.get(order, ()):
            ax.axvline(value, **styles["found"])
            drawn.add("found")
        if not found.get(order) and order in (others or {}):
            ax.axvline((others or {})[order], **styles["best of the data, not found"])
            drawn.add("best of the data, not found")
        ax.set(xlim=(bins[0], bins[-1]))
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        tick_style(ax)
        ax.set_xlabel(axis, **text_style(INK))
        if index % columns == 0:
            ax.set_ylabel("searches", **text_style(INK))
    add_legend(figure, {name: style for name, style in styles.items() if name in drawn}, columns=3)
    return figure
