"""What the card of each family of networks says of its own: one record for each, in a room of its own.

The card, its figures and its metadata are the same for all families but for what these records have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...actions import Actions
from ...runs.results import Results
from .escaping import Code, Markdown
from .facts import CardFacts
from .figure import CardFigure

TEMPLATES = Path(__file__).parent.parent / "templates"
ROOMS = {"lgn": "unfolded", "lgn_convnet": "convnet"}  # model_type: the room whose `CARD` is the record


@dataclass(frozen=True)
class FamilyCard:
    """What the cards of a family of networks have of their own.

    Attributes:
        facts: what a card says, from the folder of a model, its configuration, its results and its actions.
        measure: writes what its card needs to know of a model and its examples into the folder; returns nothing.
        introduction: what the network does, and how its filters come about.
        kind: what is special about this kind of action or group.
        result: how good the model is.
        architecture: rows of property and value.
        template: of the part of the card about the actions, in `hub/templates/`.
        part: what fills this template, from the folder, the facts and the address of the repository.
        limitations: sentences, from the facts and those about the comparison with free filters.
        limitations_heading: above them.
        subject: what the figures of actions and filters are drawn from: the actions, and how many a figure shows.
        figures: those of a network with these layers.
        tags: for the Hub.
        tag: one more tag, for networks of one kind.
        citation: a sentence, and BibTeX.
    """

    facts: Callable[[Path, Any, Results, Actions], CardFacts]
    measure: Callable[[Any, Path, Sequence[Path]], None]
    introduction: Callable[[Any], Markdown]
    kind: Callable[[Any], Markdown]
    result: Callable[[Any], Markdown]
    architecture: Callable[[Any], list[list[Any]]]
    template: str
    part: Callable[[Path, Any, str], dict[str, Any]]
    limitations: Callable[[Any, Sequence[Markdown]], list[Markdown]]
    limitations_heading: str
    subject: Callable[[Actions, int | None], Any]
    figures: Callable[[Sequence[int]], tuple[CardFigure, ...]]
    tags: tuple[str, ...]
    tag: Callable[[Any], str]
    citation: tuple[Markdown, Code]


def family_card(config: Any) -> FamilyCard:
    """The record of the family of a network.

    Args:
        config: the configuration of the network, or its fields. Fields without `model_type` are those of an LGN.
    """
    is_mapping = isinstance(config, Mapping)
    model_type = config.get("model_type", "lgn") if is_mapping else config.model_type
    return import_module(f".{ROOMS.get(model_type, ROOMS['lgn'])}", __package__).CARD


def measure(model: Any, folder: Path, examples: Sequence[Path]) -> None:
    """Write into the folder of a model what its card needs to know besides its other files.

    Args:
        model: with its head.
        folder: where its image processor is saved already.
        examples: the images on its card.
    """
    family_card(model.config).measure(model, folder, examples)
