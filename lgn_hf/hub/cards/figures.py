"""The figures that the cards of all families have, and how the figures of a card are drawn and shown.

A figure of a family is an entry in its `figures.py`, with a function in `lgn_hf.plotting` that draws it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...actions import Actions
from ...model.image_processing_lgn import LGNImageProcessor
from ...plotting import image_plot, learning_curve, save_figure
from ...runs.results import RunResults
from .answers import Answers, as_pictures
from .escaping import Markdown
from .facts import PORTRAYED, CardFacts
from .families import FamilyCard, family_card
from .figure import ACTIONS, DPI, EXAMPLES, FIGURES_NAME, FILTERS, TRAINING, CardFigure
from .words import percent


def _draw_predictions(answers: Answers) -> Figure | None:
    if not answers.is_classification:
        return None
    captions = [f"{label}\n{percent(p, 1)}" for label, p in answers.predictions()]
    return image_plot({"": as_pictures(answers.pixels)}, captions)


def _draw_learning_curve(results: RunResults) -> Figure | None:
    metric = results.task.selection
    return learning_curve(results.history, metric.name, metric.words) if results.history else None


FIGURES = (
    CardFigure(
        "predictions",
        EXAMPLES,
        _draw_predictions,
        lambda facts: "Small images, each with the class that the model finds most probable and its probability.",
        lambda facts: Markdown(
            "The images in `examples/`. Below each: the class that the model finds most probable, and how probable."
        ),
    ),
    CardFigure(
        "learning-curve",
        TRAINING,
        _draw_learning_curve,
        lambda facts: (
            "Two charts: the losses, and the metric on the validation images, against epochs."
            if facts.results.data.validation
            else "A chart of the loss on the training images against epochs."
        ),
        lambda facts: Markdown("How the training went."),
    ),
)


def figures_of(place: str, family: FamilyCard, layers: Sequence[int]) -> Iterator[CardFigure]:
    """The figures of a place on the card of a network with these layers, in their order."""
    yield from (figure for figure in (*FIGURES, *family.figures(layers)) if figure.place == place)


def draw_figures(actions: Actions, folder: str | os.PathLike, most: int | None = PORTRAYED) -> list[Path]:
    """Draw the actions and filters of a model into `folder`/figures, as its card shows them.

    Args:
        most: how many actions a figure shows at most: the most structured ones. None: all.

    Returns:
        the paths of the figures.
    """
    family, layers = family_card(actions.config), list(actions.numbers[0])
    subject = family.subject(actions, most)
    figures = (figure for place in (ACTIONS, FILTERS) for figure in figures_of(place, family, layers))
    return _save({figure.name: figure.draw(subject) for figure in figures}, folder)


def draw_training(results: RunResults, folder: str | os.PathLike) -> list[Path]:
    """Draw how a run went into `folder`/figures, and return the paths."""
    return _save({figure.name: figure.draw(results) for figure in FIGURES if figure.place == TRAINING}, folder)


def _save(drawn: Mapping[str, Figure | None], folder: str | os.PathLike) -> list[Path]:
    return [
        save_figure(figure, Path(folder, FIGURES_NAME, f"{name}.png"), DPI)
        for name, figure in drawn.items()
        if figure is not None
    ]


def draw_examples(model: Any, processor: LGNImageProcessor, paths: Sequence[Path]) -> dict[str, Figure]:
    """Draw what a model makes of saved examples.

    Args:
        model: with its head.
        processor: its image processor.
        paths: from `save_examples`.

    Returns:
        figures by name: `predictions` or `reconstructions`, and `codes`; none if there are no examples.

    Raises:
        ValueError: an image cannot be read, or an answer is not finite.
    """
    if not paths:
        return {}
    answers = Answers.of(model, processor, paths)
    figures = figures_of(EXAMPLES, family_card(model.config), ())
    drawn = {figure.name: figure.draw(answers) for figure in figures}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def shown_figures(folder: Path, facts: CardFacts, place: str) -> list[dict[str, str]]:
    """Path, text and caption of each figure of a place that is in a folder."""
    return [
        {"path": f"{FIGURES_NAME}/{figure.name}.png", "alt": figure.alt(facts), "caption": figure.caption(facts)}
        for figure in figures_of(place, family_card(facts.config), facts.layers)
        if (folder / FIGURES_NAME / f"{figure.name}.png").is_file()
    ]
