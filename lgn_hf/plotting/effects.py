"""What actions do to the identity matrix and to other patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..model.filters import unvec, vec
from .checks import checked, checked_matrices, expect_count, expect_fit, filter_side
from .panels import add_colour_key, heat_map
from .sheet import Cell, Sheet
from .style import QUIET, text_style


def effect_plot(matrix: Tensor, patches: Tensor | None = None, titles: Sequence[str] | None = None) -> Figure:
    """What actions do to the n x n identity matrix, which is easy to read (figure 2), and to any other patches.

    The figure is a table of actions by patches. The more numerous of the two go down, the others across.

    Args:
        matrix: (..., d, d), N in all.
        patches: (n, n) or (M, n, n), drawn after the identity.
        titles: N texts, one per action.

    Raises:
        ValueError: an argument has another shape or count, or an entry is not finite.
    """
    matrices = checked_matrices(matrix)
    size = filter_side(matrices)
    titles = [f"action {i + 1}" for i in range(len(matrices))] if titles is None else titles
    expect_count("titles", titles, len(matrices))
    inputs = torch.eye(size, dtype=torch.float64)[None]
    names = ["identity"]
    if patches is not None:
        extra = checked("patches", patches, "(n, n) or (M, n, n)", (2, 3), square=True)
        extra = extra.reshape(-1, *extra.shape[-2:])
        expect_fit(matrices, "patches", extra.shape[-1])
        inputs = torch.cat([inputs, extra])
        names += [f"patch {i + 1}" for i in range(len(extra))]
    images = unvec(torch.einsum("nij,mj->nmi", matrices, vec(inputs)), size)

    actions_across = len(matrices) > len(inputs)
    table: list[list[tuple[str, Tensor | None, int | None]]] = [[("", None, None)]]  # title, values, side of a block
    table[0] += [(name, patch, None) for name, patch in zip(names, inputs, strict=True)]
    for i, title in enumerate(titles):
        table.append([(title, matrices[i], size)])
        table[-1] += [("", image, None) for image in images[i]]
    if actions_across:
        table = [list(row) for row in zip(*table, strict=True)]
    cells = [cell for row in table for cell in row]
    figure, axes = Sheet(len(table[0]), Cell(1.7), foot=0.5).lay_out([title for title, _, _ in cells])
    for ax, (_, values, blocks) in zip(axes, cells, strict=True):
        if values is None:
            ax.set_axis_off()
            hint = _hint(actions_across)
            ax.text(0.5, 0.5, hint, ha="center", va="center", transform=ax.transAxes, **text_style(QUIET))
        else:
            heat_map(ax, values, blocks=blocks)
    add_colour_key(figure)
    return figure


def _hint(actions_across: bool) -> str:
    """How to read the table, in its corner."""
    if actions_across:
        return "actions →\n\n↓ patches and\nwhat becomes\nof them"
    return "patches →\n\n↓ actions and\nwhat they make\nof them"
