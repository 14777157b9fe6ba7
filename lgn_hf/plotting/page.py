"""A figure measured in inches from its lower left corner, where matplotlib takes shares of its width and height."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from .style import CARD


def blank_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor=CARD)
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def text_at(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, **style)


def arrow_at(
    figure: Figure, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0.0
) -> None:
    """An arrow between two points.

    Args:
        bend: how far it bows, as a share of its length; to the left if negative.
    """
    style = {"arrowstyle": "-|>", "mutation_scale": 16, "lw": 2.0, "color": colour, "shrinkA": 0, "shrinkB": 0}
    curve = f"arc3,rad={bend}"
    figure.add_artist(FancyArrowPatch(start, end, connectionstyle=curve, transform=figure.dpi_scale_trans, **style))


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    box, (width, height) = ax.get_position(), figure.get_size_inches()
    return box.width * width, box.height * height
