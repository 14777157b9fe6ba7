"""Actions as heat maps."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked_matrices, expect_count, filter_side
from .panels import add_colour_key, heat_map
from .sheet import Sheet, columns_for


def action_gallery(
    matrices: Tensor, titles: Sequence[str], captions: Sequence[str] | None = None, size: int | None = None
) -> Figure:
    """Actions as heat maps, with lines between their n x n blocks.

    "Learning Linear Groups in Neural Networks", figures 1, 6 and 7.

    Args:
        matrices: (..., d, d), N in all.
        titles: N texts, drawn above the heat maps.
        captions: N texts, drawn below them, such as labels and scores.
        size: n, the side of a block; the square root of d by default.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    matrices = checked_matrices(matrices)
    size = filter_side(matrices, size)
    expect_count("titles", titles, len(matrices))
    figure, axes = Sheet(columns_for(len(matrices), 5), foot=0.5).lay_out(titles, captions)
    for ax, matrix in zip(axes, matrices, strict=True):
        heat_map(ax, matrix, blocks=size)
    add_colour_key(figure)
    return figure
