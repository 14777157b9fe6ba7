"""Figures as files."""

from __future__ import annotations

import io
import os
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from ..files import write_whole


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: float = 200) -> Path:
    """Write a PNG of 256 colours, whole or not at all, and create its folder if need be.

    Returns:
        the path.

    Raises:
        ValueError: the path does not end in .png, or the figure cannot be drawn.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"figures are written as .png, not as {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    image, small = Image.open(buffer).convert("RGB"), io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)  # a third of the size
    write_whole(path, small.getvalue())
    return path
