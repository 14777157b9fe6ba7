"""The filters of one layer, group by group."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked, expect_count
from .page import text_at
from .panels import add_colour_key, colour_image, heat_map
from .sheet import Cell, Sheet, columns_for
from .style import INK, MARGIN, QUIET, TITLE, text_style
from .text import power_name


def filter_plot(filters: Tensor, names: Sequence[str] | None = None) -> Figure:
    """The filters of one layer, a group in each column: the basis filter on top, its images under the action below.

    "Learning unfolded networks with a cyclic group structure", figures 2 to 4. Three channels are drawn as colour
    with grey for zero, one channel in the diverging colours.

    Args:
        filters: (K, p, C, n, m) with C = 1 or 3, such as `model.filter_bank()[l]`.
        names: p texts that name the rows; W, AW, ..., A^{p-1}W by default.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    values = checked("filters", filters, "(K, p, C, n, m) with C = 1 or 3", (5,))
    groups, order, channels = values.shape[:3]
    labels = [power_name(i) for i in range(order)] if names is None else [*names]
    expect_count("names", labels, order)
    if channels not in (1, 3):
        raise ValueError(f"filters of {channels} channels; 1 or 3 can be drawn: select some, as in filters[:, :, :1]")
    columns = columns_for(groups, 10)
    places = [
        (k, i) for start in range(0, groups, columns) for i in range(order) for k in range(start, start + columns)
    ]
    above = [f"$W_{{{k + 1}}}$" if i == 0 and k < groups else "" for k, i in places]
    cell = Cell(1.2, aspect=values.shape[-2] / values.shape[-1], gap=0.1)
    figure, axes = Sheet(columns, cell, left=0.5 if order > 1 else MARGIN, foot=0.5).lay_out(above)
    for ax, (k, i) in zip(axes, places, strict=True):
        if k >= groups:
            ax.remove()
            continue
        if channels == 1:
            heat_map(ax, values[k, i, 0])
        else:
            colour_image(ax, values[k, i])
        if k % columns == 0 and order > 1:
            ax.set_ylabel(labels[i], rotation=0, ha="right", va="center", **text_style(INK, TITLE))
    if channels == 1:
        add_colour_key(figure)
    else:
        note = "colour filters, each scaled to its largest entry; mid-grey is 0"
        text_at(figure, figure.get_figwidth() / 2, 0.22, note, ha="center", va="center", **text_style(QUIET))
    return figure
