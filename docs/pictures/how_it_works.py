"""The picture of a network at work: `python docs/pictures/how_it_works.py`, in a checkout.

An image goes through the unfolded layers. Below the code of each layer is the orbit that is most active in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

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
    magnitudes,
    power_name,
    save_figure,
    text_at,
    text_style,
)

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "images" / "how-it-works.png"
MODEL = ROOT / "model_cards" / "r90-mnist"
IMAGE = MODEL / "examples" / "1.png"
WIDTH, HEIGHT, DPI = 13.6, 5.7, 117.65  # inches; 1600 pixels wide
CODE, FILTER, STEP, FIRST = 1.5, 0.85, 2.35, 0.35  # sides of codes and filters, from layer to layer, left margin
CODES, FILTERS = 3.55, (1.72, 0.5)  # bottom of the codes, and of the two rows of filters
SMALL, MEDIUM = 12.0, 14.0  # points


def network_picture() -> Figure:
    """Above, the image, its codes and the class; below, an orbit of each layer."""
    model = AutoModelForImageClassification.from_pretrained(MODEL)
    image = Image.open(IMAGE)
    pixel_values = AutoImageProcessor.from_pretrained(MODEL)(image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        outputs = model.eval()(pixel_values, output_hidden_states=True)
        bank = model.filter_bank()  # (L, K, p, C, n, n)
    layers, _, order = bank.shape[:3]

    figure = blank_figure(WIDTH, HEIGHT)
    ax = axes_at(figure, FIRST, CODES, CODE, CODE)
    ax.imshow(np.asarray(image), cmap="gray", interpolation="nearest")
    hide_ticks(ax)
    _write(figure, FIRST + CODE / 2, CODES + CODE + 0.2, "image $x$")
    _write(
        figure,
        FIRST + CODE / 2,
        FILTERS[1] + FILTER + 0.25,
        "filters of the\nmost active group:\nA turns them by 90°",
        QUIET,
        SMALL,
    )
    for layer, code in enumerate(outputs.hidden_states):
        left = FIRST + (layer + 1) * STEP
        _draw_code(axes_at(figure, left, CODES, CODE, CODE), code[0])
        _write(figure, left + CODE / 2, CODES + CODE + 0.2, f"code $z_{layer + 1}$")
        arrow_at(figure, (left - STEP + CODE + 0.12, CODES + CODE / 2), (left - 0.12, CODES + CODE / 2), MARK)
        energy = code[0].square().sum((1, 2)).view(-1, order).sum(1)
        _draw_orbit(figure, left + CODE / 2, bank[layer, int(energy.argmax())])
        arrow_at(figure, (left + CODE / 2, CODES - 0.65), (left + CODE / 2, CODES - 0.1), MARK)
    last = FIRST + layers * STEP + CODE
    label = model.config.id2label[int(outputs.logits.argmax())]
    arrow_at(figure, (last + 0.12, CODES + CODE / 2), (last + STEP - CODE - 0.12, CODES + CODE / 2), MARK)
    _write(figure, last + STEP - CODE + 0.35, CODES + CODE / 2, f"“{label}”", INK, 24)
    return figure


def _draw_code(ax: Axes, code: torch.Tensor) -> None:
    """The norm over all filters at each position, (F, h, w)."""
    magnitudes(ax, code.norm(dim=0), gamma=0.7)


def _draw_orbit(figure: Figure, middle: float, filters: torch.Tensor) -> None:
    """W and AW above, A^3W and A^2W below, so that the action goes round: (4, 1, n, n)."""
    step = FILTER + 0.16
    left = (middle - step + 0.08, middle + 0.08)
    for power, (column, row) in enumerate([(0, 0), (1, 0), (1, 1), (0, 1)]):
        heat_map(axes_at(figure, left[column], FILTERS[row], FILTER, FILTER), filters[power, 0])
        _write(figure, left[column] + FILTER / 2, FILTERS[row] + FILTER + 0.16, power_name(power), QUIET, SMALL)


def _write(figure: Figure, x: float, y: float, text: str, colour: str = INK, size: float = MEDIUM) -> None:
    text_at(figure, x, y, text, ha="center", va="center", **text_style(colour, size))


if __name__ == "__main__":
    print(save_figure(network_picture(), OUTPUT, DPI))
