"""Singular values of actions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked_matrices, expect_count
from .page import axes_at, blank_figure
from .panels import add_legend
from .style import INK, PALETTE, RULE, TITLE, WIDTH, text_style, tick_style
from .text import span_text

HEIGHT = 4.2  # inches


def singular_value_plot(matrices: Tensor, labels: Sequence[str] | None = None) -> Figure:
    """Singular values in descending order, on a logarithmic scale, one line per action.

    Actions of one label share a colour, and a bold line is their median. The legend has the smallest and the largest
    condition number of each label. Rounding cannot tell values below 1e-16 of the largest from zero: they are drawn
    at 1e-16.

    Args:
        matrices: (..., d, d), N in all.
        labels: N texts, at most 7 different ones.

    Raises:
        ValueError: an argument has another shape or count, there are too many labels, or an entry is not finite.
    """
    matrices = checked_matrices(matrices)
    labels = ["actions"] * len(matrices) if labels is None else labels
    expect_count("labels", labels, len(matrices))
    kinds = list(dict.fromkeys(labels))
    if len(kinds) > len(PALETTE):
        raise ValueError(f"{len(kinds)} different labels; at most {len(PALETTE)} can be told apart by colour")
    values = torch.linalg.svdvals(matrices)
    values = values.maximum((1e-16 * values[:, :1]).clamp_min(torch.finfo(values.dtype).tiny)).numpy()

    figure = blank_figure(WIDTH, HEIGHT)
    bottom = 0.62 + 0.22 * math.ceil(len(kinds) / 2)  # below it the axis label and the lines of the legend
    ax = axes_at(figure, 0.8, bottom, WIDTH - 0.95, HEIGHT - bottom - 0.15)
    index = np.arange(1, values.shape[-1] + 1)
    legend = {}
    for label, colour in zip(kinds, PALETTE, strict=False):
        lines = values[[other == label for other in labels]]
        each: dict[str, Any] = {"lw": 0.8, "alpha": 0.3} if len(lines) > 1 else {"lw": 2.0}
        for line in lines:
            ax.plot(index, line, color=colour, **each)
        if len(lines) > 1:
            ax.plot(index, np.median(lines, axis=0), color=colour, lw=2.4)
        legend[f"{label} (condition {span_text(lines[:, 0] / lines[:, -1])})"] = {"color": colour, "lw": 2.0}
    ax.set_yscale("log")
    ax.set_xlim(0.5, len(index) + 0.5)
    ax.set_xlabel("index i", **text_style(INK, TITLE))
    ax.set_ylabel("singular value $\\sigma_i(A)$", **text_style(INK, TITLE))
    ax.grid(axis="y", color=RULE, lw=0.4, alpha=0.5)
    tick_style(ax)
    add_legend(figure, legend, columns=min(2, len(kinds)))
    return figure
