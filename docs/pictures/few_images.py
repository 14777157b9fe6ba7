"""The picture of what a group gains where images are few: `python docs/pictures/few_images.py`, in a checkout.

It draws the rows of `model_cards/results.csv` for networks over one group on rot-MNIST.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from lgn_training.zoo.group_tables import TRAINED_ON, accuracies
from lgn_training.zoo.records import RECORDS, read
from matplotlib.figure import Figure

from lgn_hf.plotting import INK, PALETTE, RULE, add_legend, axes_at, blank_figure, save_figure, text_style, tick_style

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "images" / "few-images.png"
CARDS = ROOT / "model_cards"
GROUPS = {"c4": "C₄, told", "discovered-c4": "C₄, found", "free": "free filters"}
WIDTH, HEIGHT, DPI = 8.0, 3.8, 200


def errors(group: str) -> dict[int, list[float]]:
    """Training images -> test errors, one per seed, in percent."""
    rows = read(CARDS / RECORDS)
    found = {int(train): accuracies(rows, f"convnet-rotmnist-{group}", train) for train in TRAINED_ON}
    return {images: [100 - value for value in values] for images, values in found.items() if values}


def few_images_picture() -> Figure:
    """Test error against the number of training images, both logarithmic: a line for the mean, a dot for each seed."""
    figure = blank_figure(WIDTH, HEIGHT)
    ax = axes_at(figure, 0.85, 1.0, WIDTH - 1.1, HEIGHT - 1.2)
    for group, colour in zip(GROUPS, PALETTE, strict=False):
        found = errors(group)
        means = [statistics.mean(values) for values in found.values()]
        ax.plot(list(found), means, color=colour, lw=1.6)
        for images, values in found.items():
            ax.plot([images] * len(values), values, color=colour, ls="", marker="o", ms=4, alpha=0.8)
    ax.set(xscale="log", yscale="log")
    counts = [int(train) for train in TRAINED_ON]
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.set_xticks([], minor=True)
    ticks = [2, 5, 10, 20, 50]
    ax.set_yticks(ticks, [f"{tick} %" for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("training images", **text_style(INK))
    ax.set_ylabel("test error", **text_style(INK))
    ax.grid(color=RULE, lw=0.4, alpha=0.5)
    tick_style(ax)
    marks = {words: {"color": colour, "lw": 1.6} for words, colour in zip(GROUPS.values(), PALETTE, strict=False)}
    add_legend(figure, marks, columns=3)
    return figure


if __name__ == "__main__":
    print(save_figure(few_images_picture(), OUTPUT, DPI))
