"""The tables that the cards of all families have, as rows of cells."""

from __future__ import annotations

from typing import Any

from .escaping import joined, markdown
from .facts import CardFacts
from .sentences import machine, training_time

MOST_CLASSES = 20


def circumstances(facts: CardFacts) -> list[list[Any]]:
    """Property and value: when, how long and with what the model was trained, or tested if it was trained elsewhere."""
    results, run = facts.results, facts.run
    versions = (markdown("{} {}", package, version) for package, version in results.versions.items())
    return [
        *([["training time", training_time(run)]] if run else []),
        ["machine" if run else "machine of the test", machine(results)],
        ["date" if run else "date of the test", results.date],
        ["versions", joined(", ", versions)],
    ]


def class_rows(facts: CardFacts) -> list[list[Any]]:
    """Property and value: the classes of a classifier."""
    more = ["…"] if len(facts.labels) > MOST_CLASSES else []
    return [["classes", joined(", ", [*facts.labels[:MOST_CLASSES], *more])]] if facts.labels else []
