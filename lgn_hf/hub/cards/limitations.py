"""The sentences about the limits of a model that the cards of all families have. Each is empty if there is nothing to say."""

from __future__ import annotations

from ...plotting import number_text
from ...runs.results import Results, RunResults
from .escaping import NOTHING, Markdown, markdown
from .facts import CardFacts, gap
from .tasks import task_text
from .words import square


def whitening(results: Results) -> Markdown:
    """What ZCA whitening does to other images."""
    if results.whitening != "zca":
        return NOTHING
    return Markdown(
        "ZCA whitening is tied to the pixels of the training images: the values of images that are shifted, or differ from "
        "them in other ways, can become very large."
    )


def validation_gap(results: Results) -> Markdown:
    """Whether validation and test images give very different losses."""
    text = task_text(results.task)
    found = gap(results, text.loss)
    if found is None:
        return NOTHING
    return markdown(
        "The {} is {} on the validation images and {} on the test images. A few images can cause such a difference.",
        text.loss_words,
        *map(number_text, found),
    )


def data_note(results: Results) -> Markdown:
    """What is special about the data."""
    note = results.data.note
    return markdown("The data: {}. Results on other copies may differ.", note) if note else NOTHING


def one_seed(results: RunResults) -> Markdown:
    """That one run says nothing about others."""
    return markdown("One seed ({}): this repository does not show how much results vary between seeds.", results.seed)


def unknown_training() -> Markdown:
    """That a model which was trained elsewhere may know its test images."""
    return Markdown(
        "Its training images are not known here. If test images were among them, new images give worse results than "
        "those above."
    )


def purpose(facts: CardFacts) -> Markdown:
    """What the model is for."""
    return markdown(
        "A small network for studying group actions, known only on images like those of {}, {} pixels in size. Do not use "
        "it to make decisions.",
        facts.dataset.display_name,
        square(facts.config.image_size),
    )
