"""What a card says about a model in numbers: its structure, its results and its actions."""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...runs.dataset_name import DataName, data_name
from ...runs.evaluation import EvaluationResults
from ...runs.results import Results, RunResults

PORTRAYED = 20  # most actions that the figures show


@dataclass(frozen=True)
class Span:
    """The median, smallest and largest of some numbers."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Span | None:
        """None if there are no numbers."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class CardFacts(ABC):
    """All that the card of a model of any family says. Families add what is known of their networks."""

    config: Any
    results: Results

    @property
    def run(self) -> RunResults | None:
        """How the model was trained; None if it was trained elsewhere."""
        return self.results if isinstance(self.results, RunResults) else None

    @property
    def evaluation(self) -> EvaluationResults | None:
        """What was measured of a model that was trained elsewhere; None for other models."""
        return self.results if isinstance(self.results, EvaluationResults) else None

    @property
    def dataset(self) -> DataName:
        return data_name(self.results.data.source)

    @property
    @abstractmethod
    def has_groups(self) -> bool:
        """Whether filters share anything."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[int]:
        """The layers whose filters are shown."""

    @property
    def labels(self) -> list[str]:
        """The classes of a classifier; none for other networks."""
        return [*(self.config.id2label or {}).values()] if self.results.task.needs_labels else []


def standard_error(share: float, count: int) -> float:
    """The standard error of a share of `count` independent images."""
    return math.sqrt(max(0.0, share * (1 - share)) / max(1, count))


def gap(results: Results, metric: str) -> tuple[float, float] | None:
    """A metric on the validation and on the test images, if they differ by more than many images could.

    Returns:
        the two values, if one is at least three times the other; else None.
    """
    values = [results.metrics.get(f"{split}_{metric}", 0.0) for split in ("validation", "test")]
    if not all(0 < value < math.inf for value in values) or max(values) < 3 * min(values):
        return None
    return values[0], values[1]
