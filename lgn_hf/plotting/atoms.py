"""Atoms of a dictionary: all of them, and what an action makes of some."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..model.filters import unvec
from .checks import checked, expect_fit
from .panels import add_colour_key, colour_image, heat_map, montage
from .sheet import Cell, Sheet
from .style import INK, SIGNED, TITLE, hide_ticks, text_style
from .text import number_text

COLUMNS = 20  # of the gallery


def atom_gallery(atoms: Tensor, title: str = "") -> Figure:
    """All atoms as tiles, row by row, each scaled to its largest entry.

    Args:
        atoms: (N, n*n), column-major.
        title: a text above them.

    Raises:
        ValueError: the atoms have another shape, or an entry is not finite.
    """
    images = _images(atoms, channels=1)[:, 0]
    images = images / images.abs().amax((1, 2), keepdim=True).clamp_min(1e-300)
    columns = min(COLUMNS, len(images))
    tiles = montage(images, columns)
    cell = Cell(7.6 * columns / COLUMNS, aspect=tiles.shape[0] / tiles.shape[1])
    figure, (ax,) = Sheet(1, cell, foot=0.5).lay_out([title])
    ax.imshow(tiles.numpy(), cmap=SIGNED, vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    add_colour_key(figure, "each atom: ± its largest entry")
    return figure


def matched_atom_plot(
    atoms: Tensor, matrix: Tensor, permutation: Sequence[int] | Tensor, chosen: Sequence[int], title: str = ""
) -> Figure:
    """Some atoms w, what an action makes of them, A w, and the atoms that these are matched to.

    If the action is a symmetry of the dictionary, the second and the third row look the same. The numbers are the cosines
    between the two.

    Args:
        atoms: (N, C*n*n) with C = 1 or 3, channel after channel, each column-major.
        matrix: A, (d, d).
        permutation: (N,), the atom that each atom is matched to.
        chosen: the atoms to draw.
        title: a text above them.

    Raises:
        ValueError: an argument has another shape, or an entry is not finite.
    """
    rows = checked("atoms", atoms, "(N, d)", (2,))
    matrix = checked("matrix", matrix, "(d, d)", (2,), square=True)
    channels = 1 if math.isqrt(rows.shape[1]) ** 2 == rows.shape[1] else 3
    if matrix.shape[0] != rows.shape[1]:
        expect_fit(matrix, "atoms", math.isqrt(rows.shape[1] // channels))
    before = rows[list(chosen)]
    moved = before @ matrix.T
    after = rows[torch.as_tensor(permutation)[list(chosen)]]
    cosines = torch.nn.functional.cosine_similarity(moved, after)
    columns = len(before)
    below = [""] * (2 * columns) + [number_text(cosine, signed=True) for cosine in cosines]
    cell = Cell(0.62, gap=0.08)
    figure, axes = Sheet(columns, cell, left=1.15, foot=0.5, narrowest=4.8).lay_out(
        [""] * (3 * columns), below, {0: title} if title else None
    )
    for row, (name, values) in enumerate((("atom $w$", before), ("$A\\,w$", moved), ("matched\natom", after))):
        for column, image in enumerate(_images(values, channels)):
            ax = axes[row * columns + column]
            _draw(ax, image)
            if column == 0:
                ax.set_ylabel(name, rotation=0, ha="right", va="center", **text_style(INK, TITLE))
    add_colour_key(figure)
    return figure


def _images(atoms: Tensor, channels: int) -> Tensor:
    """(N, C*n*n) to (N, C, n, n)."""
    rows = checked("atoms", atoms, "(N, n*n)", (2,))
    side = math.isqrt(rows.shape[1] // channels)
    if channels * side**2 != rows.shape[1]:
        raise ValueError(f"atoms of {rows.shape[1]} entries: must be n*n, or 3*n*n for colour")
    return unvec(rows.unflatten(1, (channels, side**2)), side)


def _draw(ax: Axes, image: Tensor) -> None:
    if len(image) == 1:
        heat_map(ax, image[0])
    else:
        colour_image(ax, image)
    hide_ticks(ax)
