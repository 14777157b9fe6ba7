"""The figures of a card. `FIGURES` has one entry per figure: its name, how it is drawn, its text and its caption.

A new figure needs an entry here and a function in `lgn_hf.plotting` that draws it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from ...actions import Actions
from ...model.image_processing_lgn import LGNImageProcessor
from ...plotting import (
    action_figures,
    action_gallery,
    code_plot,
    effect_plot,
    filter_plot,
    image_plot,
    learning_curve,
    save_figure,
    spectrum_plot,
)
from ...runs.results import RunResults
from .answers import Answers, as_pictures
from .escaping import Markdown, joined, markdown
from .facts import PORTRAYED, ActionFacts, CardFacts
from .words import SUBSCRIPTS, percent, square

FIGURES_NAME = "figures"
DPI = 128  # 1024 pixels wide, for a column of 800

# Where figures are on a card.
EXAMPLES, ACTIONS, FILTERS, TRAINING = "examples", "actions", "filters", "training"


@dataclass
class ActionSubject:
    """What the figures of actions are drawn from.

    Attributes:
        actions: of the model.
        most: how many actions a figure shows at most; None: all.
    """

    actions: Actions
    most: int | None = None

    @property
    def is_rotation(self) -> bool:
        return self.actions.rotation_angle is not None and self.actions.order > 1

    @cached_property
    def of_learned_actions(self) -> Mapping[str, Figure]:
        """The figures of learned actions; none for rotations and for networks without groups."""
        is_learned = self.actions.rotation_angle is None and self.actions.order > 1
        return action_figures(self.actions, self.most) if is_learned else {}

    @cached_property
    def rotations(self) -> torch.Tensor:
        """The matrices of all rotations of a group, (p, d, d)."""
        one = self.actions[:1, :1, :1]
        return torch.stack([one.power(i)[0, 0, 0] for i in range(self.actions.order)])

    @property
    def angles(self) -> list[str]:
        return [f"{i * (self.actions.rotation_angle or 0):g}°" for i in range(self.actions.order)]

    @cached_property
    def filter_banks(self) -> dict[int, torch.Tensor]:
        """The filters of each layer, (K, p, C, n, n); none if groups have actions of their own, or filters are not known."""
        is_learned = self.actions.rotation_angle is None and self.actions.order > 1
        if self.actions.basis is None or (is_learned and not self.actions.shared[1]):
            return {}
        return dict(zip(self.actions.numbers[0], self.actions.orbit().transpose(2, 3), strict=True))


@dataclass(frozen=True)
class CardFigure:
    """A figure of a card.

    Attributes:
        name: of its file, without `.png`.
        place: EXAMPLES, ACTIONS, FILTERS or TRAINING.
        draw: from `Answers` in EXAMPLES, from `RunResults` in TRAINING, else from an `ActionSubject`; None: this model does not have the figure.
        alt: a text for those who do not see it.
        caption: the text below it.
    """

    name: str
    place: str
    draw: Callable[[Any], Figure | None]
    alt: Callable[[CardFacts], str]
    caption: Callable[[CardFacts], Markdown]


# The images on the card


def _draw_predictions(answers: Answers) -> Figure | None:
    if not answers.is_classification:
        return None
    captions = [f"{label}\n{percent(p, 1)}" for label, p in answers.predictions()]
    return image_plot({"": as_pictures(answers.pixels)}, captions)


def _draw_reconstructions(answers: Answers) -> Figure | None:
    if answers.is_classification:
        return None
    return image_plot(answers.reconstruction_rows(), [percent(share) for share in answers.missed_energy()])


def _reconstructions_caption(facts: CardFacts) -> Markdown:
    if facts.results.whitening == "none":
        return Markdown(
            "The images in `examples/` and their reconstructions. Below each: the share of its energy that is missed."
        )
    return Markdown(
        "The images in `examples/`, the same images whitened, as the model sees them, their reconstructions, and the "
        "reconstructions turned back into images. Below each: the share of its energy that is missed."
    )


def _draw_codes(answers: Answers) -> Figure:
    order = answers.model.config.group_order
    codes = [code[0] for code in answers.outputs["hidden_states"]]
    return code_plot(answers.pixels[0], codes, order if order > 1 else None)


def _codes_caption(facts: CardFacts) -> Markdown:
    layers = facts.config.num_layers
    codes = "code z₁" if layers == 1 else f"codes z₁ to z{str(layers).translate(SUBSCRIPTS)}"
    tiles = markdown("The {} of the first image. Each tile shows where one filter is active.", codes)
    return joined(
        " ", [tiles, "Each row is one group; its columns are the powers of the action." if facts.actions else ""]
    )


# The actions


def _draw_gallery(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return action_gallery(subject.rotations, subject.angles, size=subject.actions.size)
    return subject.of_learned_actions.get("gallery")


def _gallery_alt(facts: CardFacts) -> str:
    actions, config = _actions(facts), facts.config
    dim, size = square(config.filter_dim), square(config.filter_size)
    colours = "Blue is negative, white zero, red positive."
    if facts.is_fixed:
        return f"Heat maps of the {config.group_order} powers of the action, {dim} matrices ruled into {size} blocks. {colours}"
    if actions.count == 1:
        return f"Heat map of the action, a {dim} matrix ruled into {size} blocks, with its label below. {colours}"
    return (
        f"Heat maps of {_portrayed(actions)}, {dim} matrices ruled into {size} blocks, layer by layer, each with its "
        f"label below. {colours}"
    )


def _gallery_caption(facts: CardFacts) -> Markdown:
    actions, dim = _actions(facts), square(facts.config.filter_dim)
    block = f"Each {square(facts.config.filter_size)} block maps one column of the filter to another."
    if facts.is_fixed:
        return markdown("The elements of the group as {} matrices. {}", dim, block)
    if actions.count == 1:
        return markdown("The action as a {} matrix. {}", dim, block)
    what = _portrayed(actions)
    return markdown(
        "{}{} as {} matrices. {} Layers, groups and channels count from 0.", what[0].upper(), what[1:], dim, block
    )


def _orbits_alt(facts: CardFacts) -> str:
    which = "Basis filters" if _actions(facts).are_few else "Four basis filters"
    return f"{which} and what the powers of their action make of them, each with its norm and its cosine with the basis filter."


def _orbits_caption(facts: CardFacts) -> Markdown:
    if facts.is_shared_by_groups:
        which = "The orbits of the basis filters of the first group."
    elif _actions(facts).are_few:
        which = "The orbits of the basis filters of each action."
    else:
        which = (
            "The orbits of four basis filters. Compared with chance, their actions are the most skew-symmetric, Toeplitz, "
            "multi-scale and block-concentrated ones."
        )
    return markdown("{} The network uses the first {} filters of each orbit.", which, facts.config.group_order)


def _draw_effects(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return effect_plot(subject.rotations, titles=subject.angles)
    return subject.of_learned_actions.get("effects")


def _effects_alt(facts: CardFacts) -> str:
    which = "each power of the action makes" if facts.is_fixed else "each action makes"
    if not (facts.is_fixed or _actions(facts).are_few):
        which = "the most structured actions make"
    return f"The {square(facts.config.filter_size)} identity matrix as a patch, and what {which} of it."


def _effects_caption(facts: CardFacts) -> Markdown:
    which = "the same actions"
    if facts.is_fixed:
        which = "the elements of the group"
    elif _actions(facts).are_few:
        which = "the action" if _actions(facts).count == 1 else "each action"
    return markdown("The identity matrix as a patch, under {}.", which)


def _draw_spectra(subject: ActionSubject) -> Figure | None:
    if subject.is_rotation:
        return spectrum_plot(subject.rotations[1], subject.actions.order, subject.angles[1:2])
    return subject.of_learned_actions.get("spectra")


def _spectra_alt(facts: CardFacts) -> str:
    actions = _actions(facts)
    which = "the action" if facts.is_fixed or actions.count == 1 else _portrayed(actions)
    return f"Eigenvalues of {which} on the complex plane, with the unit circle and the {facts.config.group_order} roots of unity."


def _spectra_caption(facts: CardFacts) -> Markdown:
    return markdown(
        "The eigenvalues of A. Those of a generator of a cyclic group of order {} lie on the circled roots of unity.",
        facts.config.group_order,
    )


# The filters


def _filters(layer: int) -> CardFigure:
    """The filters of one layer."""

    def draw(subject: ActionSubject) -> Figure | None:
        if layer not in subject.filter_banks:
            return None
        is_rotation = subject.actions.rotation_angle is not None
        return filter_plot(subject.filter_banks[layer], subject.angles if is_rotation else None)

    def alt(facts: CardFacts) -> str:
        if facts.actions is None:
            return f"The {facts.config.num_groups} free filters of layer {layer}, each a small image."
        return f"The filters of layer {layer}. Each column is one group: its basis filter on top, its images below."

    def caption(facts: CardFacts) -> Markdown:
        return markdown("The filters of layer {}{}.", layer, "; each column is one group" if facts.actions else "")

    return CardFigure(f"filters-{layer}", FILTERS, draw, alt, caption)


# The training


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
        "reconstructions",
        EXAMPLES,
        _draw_reconstructions,
        lambda facts: (
            "Small images above and what the model reconstructs below, with the share of energy that is missed."
        ),
        _reconstructions_caption,
    ),
    CardFigure(
        "codes",
        EXAMPLES,
        _draw_codes,
        lambda facts: (
            "The first of these images and its codes after every layer: each tile shows where a filter is active, white is zero."
        ),
        _codes_caption,
    ),
    CardFigure("gallery", ACTIONS, _draw_gallery, _gallery_alt, _gallery_caption),
    CardFigure(
        "orbits", ACTIONS, lambda subject: subject.of_learned_actions.get("orbits"), _orbits_alt, _orbits_caption
    ),
    CardFigure("effects", ACTIONS, _draw_effects, _effects_alt, _effects_caption),
    CardFigure("spectra", ACTIONS, _draw_spectra, _spectra_alt, _spectra_caption),
    CardFigure(
        "learning-curve",
        TRAINING,
        _draw_learning_curve,
        lambda facts: "Two charts: the losses, and the metric on the validation images, against epochs.",
        lambda facts: Markdown("How the training went."),
    ),
)


def figures_of(place: str, layers: Sequence[int]) -> Iterator[CardFigure]:
    """The figures of a place on the card of a network with these layers, in their order."""
    yield from (figure for figure in FIGURES if figure.place == place)
    if place == FILTERS:
        yield from map(_filters, layers)


def draw_figures(actions: Actions, folder: str | os.PathLike, most: int | None = PORTRAYED) -> list[Path]:
    """Draw the actions and filters of a model into `folder`/figures, as its card shows them.

    Args:
        most: how many actions a figure shows at most: the most structured ones. None: all.

    Returns:
        the paths of the figures.
    """
    subject, layers = ActionSubject(actions, most), list(actions.numbers[0])
    drawn = {figure.name: figure.draw(subject) for place in (ACTIONS, FILTERS) for figure in figures_of(place, layers)}
    return _save(drawn, folder)


def draw_training(results: RunResults, folder: str | os.PathLike) -> list[Path]:
    """Draw how a run went into `folder`/figures, and return the paths."""
    drawn = {figure.name: figure.draw(results) for figure in figures_of(TRAINING, ())}
    return _save(drawn, folder)


def _save(drawn: Mapping[str, Figure | None], folder: str | os.PathLike) -> list[Path]:
    return [
        save_figure(figure, Path(folder, FIGURES_NAME, f"{name}.png"), DPI)
        for name, figure in drawn.items()
        if figure is not None
    ]


def draw_examples(model: Any, processor: LGNImageProcessor, paths: Sequence[Path]) -> dict[str, Figure]:
    """Draw what a model makes of saved examples.

    Args:
        model: `LGNForImageClassification` or `LGNForImageReconstruction`.
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
    drawn = {figure.name: figure.draw(answers) for figure in figures_of(EXAMPLES, ())}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def shown_figures(folder: Path, facts: CardFacts, place: str) -> list[dict[str, str]]:
    """Path, text and caption of each figure of a place that is in a folder."""
    return [
        {"path": f"{FIGURES_NAME}/{figure.name}.png", "alt": figure.alt(facts), "caption": figure.caption(facts)}
        for figure in figures_of(place, range(facts.config.num_layers))
        if (folder / FIGURES_NAME / f"{figure.name}.png").is_file()
    ]


def _actions(facts: CardFacts) -> ActionFacts:
    if facts.actions is None:
        raise ValueError("a network without groups has no figures of actions")
    return facts.actions


def _portrayed(actions: ActionFacts) -> str:
    """The actions that the gallery shows."""
    if actions.portrayed == actions.count:
        return f"all {actions.count} actions"
    return f"the {actions.portrayed} most structured of {actions.count} actions"
