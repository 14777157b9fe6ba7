"""What a figure of a card declares: its name, its place, how it is drawn, its text and its caption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from .escaping import Markdown

FIGURES_NAME = "figures"
DPI = 128  # 1024 pixels wide, for a column of 800

# Where figures are on a card.
EXAMPLES, ACTIONS, FILTERS, TRAINING = "examples", "actions", "filters", "training"


@dataclass(frozen=True)
class CardFigure:
    """A figure of a card.

    Attributes:
        name: of its file, without `.png`.
        place: EXAMPLES, ACTIONS, FILTERS or TRAINING.
        draw: from `Answers` in EXAMPLES, from `RunResults` in TRAINING, else from the subject of the family. None: this
            model does not have the figure.
        alt: a text for those who do not see it, from the facts of the family.
        caption: the text below it.
    """

    name: str
    place: str
    draw: Callable[[Any], Figure | None]
    alt: Callable[[Any], str]
    caption: Callable[[Any], Markdown]
