"""The comparison of a model with the same kind of network with free filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...runs.family import family_of
from ...runs.recipe import compared_fields
from ...runs.results import RunResults
from .escaping import NOTHING, Markdown, joined, markdown
from .facts import standard_error
from .tasks import task_text
from .words import listing, percent

# Only the table has these: a difference of the data is said in the sentence below it.
DATA = "data"


@dataclass(frozen=True)
class Comparison:
    """Rows of a table (fact, this model, free filters), and what to say about it."""

    rows: list[list[Any]]
    sentence: Markdown


def compare(results: RunResults, baseline: RunResults, name: str) -> Comparison:
    """Compare a model with one of free filters.

    Args:
        name: of the file with the results of the baseline, for messages.

    Raises:
        ValueError: the baseline has another task, or groups.
    """
    if baseline.task != results.task or baseline.recipe.has_groups:
        field, free = family_of(results.recipe.to_json()).free_twin
        raise ValueError(
            f"{name} is of {baseline.task.name} with {field} {baseline.recipe.to_json().get(field)}: "
            f"must be of {results.task.name} with {field} {free}"
        )
    text = task_text(results.task)
    shown = shown_facts(results)
    here, there = ({DATA: run.data.fingerprint, **shown_facts(run), **other_facts(run)} for run in (results, baseline))
    differing = [fact for fact in here if fact in there and here[fact] != there[fact]]
    confounding = [fact for fact in differing if fact not in results.recipe.due_to_groups]
    rows = [
        [text.words, *(percent(run.test(text.metric)) for run in (results, baseline))],
        ["parameters", *(f"{run.parameters:,}" for run in (results, baseline))],
        *(
            [fact, value_text(here[fact]), value_text(there[fact])]
            for fact in here
            if fact in shown or (fact in differing and fact != DATA)
        ),
    ]
    return Comparison(rows, joined(" ", [difference(results, baseline), confounders(confounding)]))


def shown_facts(results: RunResults) -> dict[str, Any]:
    """What the table always shows."""
    recipe = results.recipe
    return {
        **recipe.shape,
        "whitening": recipe.whitening,
        "epochs": results.epochs,
        "batch size": results.global_batch_size,
        "seed": results.seed,
    }


def other_facts(results: RunResults) -> dict[str, Any]:
    """What the table shows if it differs: the precision, and the fields of the recipe that are compared."""
    return {"precision": results.machine.precision, **compared_fields(results.recipe.to_json())}


def difference(results: RunResults, baseline: RunResults) -> Markdown:
    """How much better or worse the model is."""
    text = task_text(results.task)
    share = results.test(text.metric)
    points = 100 * (share - baseline.test(text.metric))
    words = f"{abs(points):.2f} percentage points {'higher' if points > 0 else 'lower'}" if points else "the same"
    sentence = markdown("Compared to a network of the same kind with free filters, its {} is {}", text.words, words)
    if not text.has_standard_error:
        return markdown("{}.", sentence)
    error = 100 * standard_error(share, results.data.test)
    return markdown("{} (with {:,} test images, its standard error is {:.2f}).", sentence, results.data.test, error)


def confounders(differing: list[str]) -> Markdown:
    """In what else the two runs differ."""
    if not differing:
        return NOTHING
    return markdown(
        "The two runs also differ in {}, so the comparison does not show the effect of the groups alone.",
        listing(differing),
    )


def not_compared() -> Markdown:
    """That there is nothing to compare with."""
    return Markdown(
        "This repository has no network with free filters to compare with, so it does not show what the groups gain or cost."
    )


def value_text(value: Any) -> str:
    """The value of a field.

    Example:
        >>> value_text([0.5, 0.75]), value_text(True), value_text(None), value_text(2.0)
        ('0.5, 0.75', 'yes', 'by default', '2')
    """
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "by default"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
