"""An image and its sparse codes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .checks import checked, expect_order
from .panels import magnitudes, montage
from .sheet import Cell, Sheet
from .style import GAP, MARGIN, QUIET, TEXT, hide_ticks

IMAGE_SHAPE = "(H, W), (1, H, W) or (3, H, W)"


def code_plot(image: Tensor, codes: Sequence[Tensor], order: int | None = None) -> Figure:
    """An image and its codes z_1..z_L (eq. 10). The map of each filter is a tile.

    White is zero. The colour follows the square root of the code, so that weak entries show. Each layer has a scale
    of its own.

    Args:
        image: (H, W), (1, H, W) or (3, H, W), drawn from its smallest to its largest value.
        codes: one tensor (F, h, w) per layer, filters group-major (eq. 11).
        order: p, which puts one group in each row of tiles and one power in each column. Without it, the tiles make
            a square as nearly as they can.

    Raises:
        ValueError: an argument has another shape, a layer has a part of a group, or an entry is not finite.
    """
    pixels = checked("image", image, IMAGE_SHAPE, (2, 3))
    if pixels.ndim == 3 and len(pixels) not in (1, 3):
        raise ValueError(f"image of shape {tuple(pixels.shape)}; expected {IMAGE_SHAPE}")
    if len(codes) == 0:
        raise ValueError("no codes; give one tensor (F, h, w) for each layer")
    layers = [checked(f"code {i + 1}", code, "(F, h, w)", (3,)) for i, code in enumerate(codes)]
    if order is not None:
        expect_order(order)
        for layer in layers:
            if len(layer) % order:
                raise ValueError(f"{len(layer)} code maps are not whole groups of order {order}")

    montages = [montage(layer, order or math.ceil(math.sqrt(len(layer)))) for layer in layers]
    above = ["image", *(f"code $z_{{{i + 1}}}$" for i in range(len(layers)))]
    below = ["", *(f"{(layer != 0).double().mean():.1%} non-zero" for layer in layers)]
    aspect = max(m.shape[0] / m.shape[1] for m in montages)
    columns = 3 if len(above) > 4 else len(above)
    cell = Cell(2.6, aspect, gap=0.55, above=0.2) if order else Cell(2.6, aspect, GAP)
    figure, axes = Sheet(columns, cell, left=0.55 if order else MARGIN).lay_out(above, below)

    low, high = pixels.min(), pixels.max()
    shown = ((pixels - low) / (high - low).clamp_min(1e-300)).numpy()
    axes[0].imshow(np.moveaxis(shown, 0, -1) if shown.ndim == 3 else shown, cmap="gray", interpolation="nearest")
    axes[0].set_anchor("N")
    hide_ticks(axes[0])
    for ax, layer, tiles in zip(axes[1:], layers, montages, strict=True):
        magnitudes(ax, tiles, gamma=0.5)
        ax.set_anchor("N")
        if order:
            _label_tiles(ax, layer.shape[-2:], len(layer) // order, order)
    return figure


def _label_tiles(ax: Axes, tile: Sequence[int], groups: int, order: int) -> None:
    """Name the rows by group and the columns by power."""
    height, width = tile
    ax.set_yticks(np.arange(groups) * (height + 1) + (height - 1) / 2, [f"$W_{{{k + 1}}}$" for k in range(groups)])
    ax.set_xticks(np.arange(order) * (width + 1) + (width - 1) / 2, [f"$A^{{{i}}}$" for i in range(order)])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=QUIET, labelsize=TEXT)
