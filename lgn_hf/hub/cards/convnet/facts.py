"""What the card of a network over a group says in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ....actions import NEAREST, TENSORS_NAME, Actions, operation_text, score_of
from ....convnet.configuration_lgn_convnet import LGNConvNetConfig
from ....nn import LinearGroup
from ....runs.group_origin import group_origin
from ....runs.results import Results
from ....runs.trained_model import CONFIG_NAME
from ....texts import group_title
from ..facts import CardFacts
from .equivariance import Equivariance, read_equivariance

CONFIDENCE = 1.96  # standard deviations of a normal distribution to either side hold 95 %


@dataclass(frozen=True)
class ElementRow:
    """One element of the group in the table of elements. `nearest` is the nearest known operation, in words."""

    number: int
    order: int
    nearest: str | None
    correlation: float
    condition_number: float | None


@dataclass(frozen=True)
class ConvNetFacts(CardFacts):
    """All that the card of a network over a group says.

    Attributes:
        group: as it is in the trained network.
        elements: one row per element, identity first.
        equivariance: of the trained network; None if it was not measured.
    """

    config: LGNConvNetConfig
    group: LinearGroup
    elements: list[ElementRow]
    equivariance: Equivariance | None

    @classmethod
    def read(cls, folder: Path, config: LGNConvNetConfig, results: Results, actions: Actions) -> ConvNetFacts:
        """The facts of a published model.

        Raises:
            ValueError: the actions are not the elements of the network's group.
        """
        group = config.linear_group
        if tuple(actions.matrices.shape[:-1]) != (1, group.order, 1, group.dim) or actions.order != group.order:
            raise ValueError(f"{folder}: {TENSORS_NAME} does not belong to {CONFIG_NAME}: {actions!r}")
        rows = [
            ElementRow(number, order, _nearest(record), score_of(record, NEAREST)["value"], record["condition_number"])
            for number, (order, record) in enumerate(zip(group.element_orders, actions.diagnose(), strict=True))
        ]
        return cls(config, results, group, rows, read_equivariance(folder, group.order))

    @property
    def has_groups(self) -> bool:
        return self.group.order > 1

    @property
    def title(self) -> str:
        """The name of the group."""
        return group_title(self.group.name)

    @property
    def layers(self) -> range:
        return range(1)

    @property
    def is_exact(self) -> bool:
        """Whether the trained network is equivariant, to rounding, under the elements that move images."""
        rows = self.equivariance.elements if self.equivariance else []
        errors = [row.logits for row in rows if row.logits is not None]
        return len(errors) > 1 and not any(errors)

    @property
    def is_learned(self) -> bool:
        return self.has_groups and self.config.action == "learned"

    @property
    def source(self) -> str | None:
        """The name of the actions that the group was made of; None if it was not read from a folder."""
        return self.run.group_source if self.run else None

    @property
    def origin(self) -> str:
        """How the group came about, one of ORIGINS."""
        return group_origin(self.config, self.run.recipe.to_json() if self.run else {}, self.source)


def confidence_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent images (Wilson, 1927).

    Example:
        >>> [round(end, 3) for end in confidence_interval(0.9, 100)]
        [0.826, 0.945]
    """
    z2 = CONFIDENCE**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = CONFIDENCE * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _nearest(record: dict) -> str | None:
    if not record["nearest"]:
        return None
    first = record["nearest"][0]
    text = operation_text(first["operation"], first["parameters"]) or first["operation"].replace("_", " ")
    return text if first["correlation"] >= 0 else f"negated {text}"
