"""Charts of measured ranges: one row per thing, one panel per quantity."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from lgn_hf.plotting import (
    INK,
    MARGIN,
    MARK,
    PALETTE,
    RULE,
    TEXT,
    TITLE,
    WIDTH,
    add_legend,
    blank_figure,
    text_style,
    tick_style,
)


def span_of(values: Iterable[float | None]) -> tuple[float, float, float] | None:
    """(smallest, median, largest) of the values that are not None."""
    found = [value for value in values if value is not None]
    return (min(found), statistics.median(found), max(found)) if found else None


@dataclass(frozen=True)
class Panel:
    """One quantity of every row: its (smallest, middle, largest) value, or None.

    references: a value to compare each row with, such as chance.
    """

    title: str
    ranges: Sequence[tuple[float, float, float] | None]
    references: Sequence[float | None] = ()
    limits: tuple[float, float] | None = None
    logarithmic: bool = False


def range_chart(
    rows: Sequence[str], panels: Sequence[Panel], *, measured: str = "measured", reference: str = "chance"
) -> Figure:
    """Dots with whiskers from the smallest to the largest, side by side; references are hollow."""
    longest = max(map(len, rows))
    left, gap = 0.075 * longest + 0.25, 0.22
    height = 0.24 * len(rows)
    total = height + 0.35 + 0.75
    width = (WIDTH - left - MARGIN + gap) / len(panels) - gap
    figure = blank_figure(WIDTH, total)
    dot = {"ls": "", "marker": "o", "mfc": PALETTE[0], "mec": PALETTE[0], "ms": 5.5}
    ring = {"ls": "", "marker": "o", "mfc": "none", "mec": MARK, "mew": 1.4, "ms": 6.5}
    places = range(len(rows))
    for index, panel in enumerate(panels):
        ax = figure.add_axes(((left + index * (width + gap)) / WIDTH, 0.75 / total, width / WIDTH, height / total))
        tick_style(ax)
        for place, span in zip(places, panel.ranges, strict=True):
            if span is not None:
                ax.plot(span[::2], [place, place], color=PALETTE[0], lw=1.6, solid_capstyle="butt")
                ax.plot(span[1], place, **dot)
        for place, value in zip(places, panel.references or [None] * len(rows), strict=True):
            if value is not None:
                ax.plot(value, place, **ring)
        ax.locator_params(axis="x", nbins=4)
        if panel.logarithmic:
            ax.set_xscale("log")
        if panel.limits:
            ax.set_xlim(*panel.limits)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks([*places], [*rows] if index == 0 else [""] * len(rows))
        ax.tick_params(axis="y", length=0, labelcolor=INK, labelsize=TEXT)
        ax.grid(color=RULE, lw=0.4, alpha=0.5)
        ax.set_axisbelow(True)
        ax.set_title(panel.title, **text_style(INK, TITLE))
    legend = {measured: dot}
    if any(panel.references for panel in panels):
        legend[reference] = ring
    add_legend(figure, legend, columns=2)
    return figure
