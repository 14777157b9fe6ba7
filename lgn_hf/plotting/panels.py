"""What a panel shows: a signed matrix or magnitudes. And the keys at the foot of a figure that explain the colours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from .page import axes_at, text_at
from .style import INK, MAGNITUDE, MARGIN, QUIET, RULE, SIGNED, TEXT, hide_ticks, text_style
from .text import MINUS


def heat_map(ax: Axes, values: Tensor, blocks: int | None = None) -> None:
    """A signed matrix in diverging colours, symmetric about zero.

    Args:
        blocks: the side of a block; a line is ruled between blocks.
    """
    reach = values.abs().max().item() or 1.0
    ax.imshow(values.numpy(), cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
    if blocks:
        lines = np.arange(blocks, len(values), blocks) - 0.5
        ends = (-0.5, len(values) - 0.5)
        style = {"colors": QUIET, "linewidths": 0.5, "alpha": 0.55}
        ax.vlines(lines, *ends, **style)
        ax.hlines(lines, *ends, **style)
    hide_ticks(ax)


def colour_image(ax: Axes, values: Tensor) -> None:
    """A signed image (3, n, m) as colour, with grey for zero."""
    colours = values / (2 * (values.abs().max().item() or 1.0)) + 0.5
    ax.imshow(colours.permute(1, 2, 0).numpy(), interpolation="nearest")
    hide_ticks(ax)


def magnitudes(ax: Axes, values: Tensor, gamma: float = 1.0) -> None:
    """A non-negative matrix, white at zero; NaN is grey.

    Args:
        gamma: the colour follows values ** gamma.
    """
    array = values.numpy()
    norm = PowerNorm(gamma, vmin=0, vmax=float(np.nanmax(array)) or 1.0)
    ax.imshow(np.ma.masked_invalid(array), cmap=MAGNITUDE, norm=norm, interpolation="nearest")
    hide_ticks(ax)
    ax.set_facecolor("#c9ced6")


def montage(maps: Tensor, columns: int) -> Tensor:
    """(F, h, w) to one picture of F tiles, row by row, with a line of NaN, one pixel wide, between them."""
    count, height, width = maps.shape
    rows = math.ceil(count / columns)
    tiles = torch.full((rows * columns, height + 1, width + 1), torch.nan, dtype=maps.dtype)
    tiles[:count, :height, :width] = maps
    tiles = tiles.view(rows, columns, height + 1, width + 1).transpose(1, 2)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def add_colour_key(figure: Figure, note: str = "each image: ± its largest entry") -> None:
    """The diverging scale and a note, at the foot of the figure."""
    width = figure.get_figwidth()
    bar = 1.1
    length = 4.4 * len(note) / 72 + bar + 0.75  # the bar, the names of its ends and the note, centred together
    start = max(MARGIN + 0.35, (width - length) / 2 + 0.35)
    ax = axes_at(figure, start, 0.24, bar, 0.1)
    scale = figure.colorbar(ScalarMappable(Normalize(-1, 1), SIGNED), cax=ax, orientation="horizontal")
    scale.outline.set_edgecolor(RULE)
    ax.set_xticks([])
    style = {"va": "center", **text_style(QUIET)}
    text_at(figure, start - 0.06, 0.29, MINUS + "max", ha="right", **style)
    text_at(figure, start + bar + 0.06, 0.29, "+max", ha="left", **style)
    text_at(figure, start + bar + 0.62, 0.29, note, ha="left", **style)


def add_legend(figure: Figure, styles: dict[str, dict[str, Any]], columns: int) -> None:
    """The names of the marks, at the foot of the figure.

    Args:
        styles: by name, the properties of the mark, as `matplotlib.lines.Line2D` takes them.
    """
    handles = [Line2D([], [], **(style | {"ms": 6, "label": name})) for name, style in styles.items()]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncol=columns,
        frameon=False,
        fontsize=TEXT,
        labelcolor=INK,
        columnspacing=1.5,
    )
