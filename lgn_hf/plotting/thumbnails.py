"""Small pictures for tables and viewers: exact pixels, no text, no matplotlib figure."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from ..actions import Action
from .style import SIGNED

SIDE = 216  # pixels of a matrix, about
TILE, GAP = 54, 6  # pixels of a filter, about, and between two of them
MOST_POWERS = 16  # of an orbit
LINE = np.array([87, 96, 106], dtype=np.float32)  # colour between the blocks of a matrix


def matrix_thumbnail(matrix: Tensor) -> Image.Image:
    """A matrix (d, d) in diverging colours about zero, with lines between its n x n blocks; about 216 pixels a side."""
    size = math.isqrt(len(matrix))
    scale = max(1, round(SIDE / len(matrix)))
    pixels = _enlarged(_coloured(matrix), scale)
    if scale > 1:
        for start in range(size, len(matrix), size):
            for line in (pixels[start * scale], pixels[:, start * scale]):
                line[:] = np.rint(0.6 * line + 0.4 * LINE)
    return Image.fromarray(pixels)


def orbit_thumbnail(action: Action) -> Image.Image:
    """The filters of an action side by side, W first, about 54 pixels each. One row per channel that shares the action.

    Raises:
        ValueError: the basis filters are unknown.
    """
    orbit = action.orbit(powers=range(min(action.order, MOST_POWERS)))  # (p, n, n) or (C, p, n, n)
    tiles = orbit.reshape(-1, *orbit.shape[-3:])
    scale = max(1, round(TILE / action.size))
    side = action.size * scale
    rows, columns = tiles.shape[:2]
    sheet = np.full((rows * (side + GAP) - GAP, columns * (side + GAP) - GAP, 3), 255, dtype=np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (side + GAP), column * (side + GAP)
        sheet[top : top + side, left : left + side] = _enlarged(_coloured(tiles[row, column]), scale)
    return Image.fromarray(sheet)


def _coloured(values: Tensor) -> np.ndarray:
    """(rows, columns) to (rows, columns, 3) uint8; the largest entry is at an end of the scale."""
    reach = values.abs().max().item() or 1.0
    places = (values.double().numpy() / reach + 1) / 2
    return np.asarray(colormaps[SIGNED](places, bytes=True))[..., :3]


def _enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)
