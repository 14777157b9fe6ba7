"""The picture of two orbits on the front page: `python docs/pictures/orbits.py`, in a checkout.

It shows filters of two networks that were trained on rotated digits. In one the action is given, in the other learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from transformers import AutoModelForImageClassification

import lgn_hf  # noqa: F401  (registers the Auto classes)
from lgn_hf.plotting import (
    INK,
    MARK,
    QUIET,
    arrow_at,
    axes_at,
    blank_figure,
    heat_map,
    hide_ticks,
    power_name,
    save_figure,
    text_at,
    text_style,
)

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "images" / "orbits.png"
IMAGE = ROOT / "model_cards" / "r60-rotmnist" / "examples" / "2.png"
WIDTH, HEIGHT, DPI = 13.6, 6.4, 117.65  # inches; 1600 pixels wide
RADIUS, FILTER, ACTION = 1.85, 1.1, 1.4  # of the circle, and sides of the filters and of the heat map, in inches
SMALL, MEDIUM, LARGE = 12.0, 14.0, 18.0  # points


@dataclass(frozen=True)
class Orbit:
    """One group of a trained network: the name of the model, and the numbers of the layer and of the group."""

    model: str
    layer: int
    group: int
    title: str
    note: str


ORBITS = (
    Orbit("r60-rotmnist", 0, 8, "The action A is given", "a rotation by 60°; the filter W is learned"),
    Orbit("lgn-rotmnist-plus", 0, 5, "The action A is learned", "together with the filter W, such that A⁴ = I"),
)


def orbits_picture() -> Figure:
    """The image on the left, and the orbits beside it."""
    figure = blank_figure(WIDTH, HEIGHT)
    y, side = HEIGHT / 2 - 0.33, 1.6
    ax = axes_at(figure, 0.35, y - side / 2, side, side)
    ax.imshow(np.asarray(Image.open(IMAGE)), cmap="gray", interpolation="nearest")
    hide_ticks(ax)
    _write(figure, 0.35 + side / 2, y + side / 2 + 0.22, "an image")
    _write(figure, 0.35 + side / 2, y - side / 2 - 0.5, "meets every filter\nof an orbit", QUIET, SMALL)
    arrow_at(figure, (0.45 + side, y), (0.9 + side, y), QUIET)
    for orbit, x in zip(ORBITS, (5.05, 10.6), strict=True):
        _draw_orbit(figure, orbit, x, y)
    return figure


def _draw_orbit(figure: Figure, orbit: Orbit, x: float, y: float) -> None:
    """The filters W, AW, ... clockwise about (x, y), and A in the middle."""
    model = AutoModelForImageClassification.from_pretrained(ROOT / "model_cards" / orbit.model)
    action = model.actions()[orbit.layer, orbit.group, 0]
    filters = action.orbit().reshape(-1, action.size, action.size)  # of one channel
    text_at(figure, x, HEIGHT - 0.42, orbit.title, ha="center", weight="bold", **text_style(INK, LARGE))
    text_at(figure, x, HEIGHT - 0.74, orbit.note, ha="center", **text_style(QUIET, SMALL))
    heat_map(_square(figure, x, y, ACTION), action.matrix, blocks=action.size)
    _write(figure, x, y + ACTION / 2 + 0.17, "$A$", MARK)

    def at(turn: float, radius: float) -> tuple[float, float]:
        """A point of the circle, so many turns after the top."""
        return x + radius * math.sin(2 * math.pi * turn), y + radius * math.cos(2 * math.pi * turn)

    order = action.order
    clear = math.asin(0.7 * FILTER / RADIUS) / (2 * math.pi)  # turns from the middle of a filter to an arrow
    for power, values in enumerate(filters):
        turn = power / order
        ax = _square(figure, *at(turn, RADIUS), FILTER)
        heat_map(ax, values)
        _name_outside(figure, *at(turn, RADIUS), turn, power_name(power))
        arrow_at(figure, at(turn + clear, RADIUS), at(turn + 1 / order - clear, RADIUS), MARK, bend=-0.5 / order)
        _write(figure, *at(turn + 0.5 / order, RADIUS + 0.25), "$A$", MARK)


def _name_outside(figure: Figure, x: float, y: float, turn: float, name: str) -> None:
    """A name on the side of a filter that is away from the centre of the circle."""
    across = round(math.sin(2 * math.pi * turn))
    if across:
        align = "left" if across > 0 else "right"
        _write(figure, x + across * (FILTER / 2 + 0.08), y, name, align=align)
    else:
        _write(figure, x, y + math.copysign(FILTER / 2 + 0.18, math.cos(2 * math.pi * turn)), name)


def _square(figure: Figure, x: float, y: float, side: float) -> Axes:
    """Axes centred at a point."""
    return axes_at(figure, x - side / 2, y - side / 2, side, side)


def _write(
    figure: Figure, x: float, y: float, text: str, colour: str = INK, size: float = MEDIUM, align: str = "center"
) -> None:
    text_at(figure, x, y, text, ha=align, va="center", **text_style(colour, size))


if __name__ == "__main__":
    print(save_figure(orbits_picture(), OUTPUT, DPI))
