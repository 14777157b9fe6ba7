"""Colours and sizes of the figures, and how frames, ticks and texts look."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

CARD, INK, QUIET, RULE = "#fbfaf7", "#1f2328", "#57606a", "#8c959f"
SIGNED = "RdBu_r"
MAGNITUDE = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#9ecae1", "#2171b5", "#08204a"])
# Okabe and Ito's colours without the yellow, which vanishes on a light card.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]
MARK = PALETTE[1]  # for what a figure points at: powers past the group's order, roots of unity

WIDTH, MARGIN, GAP = 8.0, 0.15, 0.14  # inches
TITLE, TEXT = 9.5, 8.5  # points; a figure WIDTH inches wide and 800 pixels wide shows TEXT 12 pixels high


def text_style(colour: str = INK, size: float = TEXT) -> dict[str, Any]:
    return {"color": colour, "fontsize": size, "linespacing": 1.2}


def tick_style(ax: Axes) -> None:
    ax.set_facecolor("#ffffff")
    ax.tick_params(which="both", colors=RULE, labelcolor=QUIET, labelsize=TEXT)
    set_frame(ax, RULE, 0.6)


def hide_ticks(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    set_frame(ax, RULE, 0.6)


def set_frame(ax: Axes, colour: str, width: float) -> None:
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=width)
