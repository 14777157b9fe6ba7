"""Actions that were found, each beside the known operation that it is most like."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked_matrices, expect_count, filter_side
from .panels import add_colour_key, heat_map
from .sheet import Cell, Sheet

PAIRS = 2  # in a row


def found_action_plot(
    matrices: Tensor, operations: Sequence[Tensor | None], titles: Sequence[str], names: Sequence[str]
) -> Figure:
    """Found actions as heat maps, each with its nearest known operation to the right of it.

    Args:
        matrices: (..., d, d), N in all.
        operations: N matrices (d, d); None leaves the place empty.
        titles: N texts above the actions.
        names: N texts above the operations.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    found = checked_matrices(matrices)
    blocks = filter_side(found)
    if len(operations) != len(found):
        raise ValueError(f"{len(operations)} operations for {len(found)} actions; give one, or None, for each")
    expect_count("titles", titles, len(found))
    expect_count("names", names, len(found))
    texts = [text for pair in zip(titles, names, strict=True) for text in pair]
    columns = 2 * min(PAIRS, len(found))
    figure, axes = Sheet(columns, Cell(1.75), foot=0.5).lay_out(texts)
    for i, (matrix, operation) in enumerate(zip(found, operations, strict=True)):
        heat_map(axes[2 * i], matrix, blocks=blocks)
        if operation is None:
            axes[2 * i + 1].remove()
        else:
            heat_map(axes[2 * i + 1], checked_matrices(operation)[0], blocks=blocks)
    add_colour_key(figure)
    return figure
