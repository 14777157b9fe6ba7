"""Images, and what a network makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .sheet import Cell, Sheet
from .style import INK, MARGIN, TITLE, hide_ticks, text_style


def image_plot(rows: Mapping[str, Sequence[np.ndarray]], captions: Sequence[str]) -> Figure:
    """Rows of images, one row per version of them, with captions below the last row.

    Args:
        rows: by the name of a row, its N images, (H, W) or (H, W, 3): integers up to 255 or numbers in [0, 1].
        captions: N texts.
    """
    images = [image for row in rows.values() for image in row]
    columns = len(captions)
    below = [*[""] * (columns * (len(rows) - 1)), *captions]
    left = 0.75 if any(rows) else MARGIN
    figure, axes = Sheet(columns, Cell(1.2, gap=0.08), left).lay_out([""] * len(images), below)
    names = iter(rows)
    for index, (ax, image) in enumerate(zip(axes, images, strict=True)):
        most = 255 if np.issubdtype(image.dtype, np.integer) else 1
        ax.imshow(image, cmap="gray", vmin=0, vmax=most, interpolation="nearest")
        hide_ticks(ax)
        if index % columns == 0:
            ax.set_ylabel(next(names), rotation=0, ha="right", va="center", **text_style(INK, TITLE))
    return figure
