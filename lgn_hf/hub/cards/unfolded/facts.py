"""What the card of an unfolded network says in numbers: its structure and its actions."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ....actions import MIN_Z, NEAREST, Actions, power_separation, rank, score_of, score_title, strongest
from ....model.configuration_lgn import LGNConfig
from ....model.group_actions import GroupAction, action_kind
from ....plotting import AXES, STRUCTURES
from ..facts import PORTRAYED, CardFacts, Span

ROWS = 10  # most actions that the table shows
NEARLY_SINGULAR = 1e3  # condition number
NEARLY_SAME = 0.1  # separation of two powers


@dataclass(frozen=True)
class ActionRow:
    """One action in the table of actions. `nearest` is the nearest known operation."""

    place: str
    label: str | None
    structure: str
    score: dict[str, float]
    nearest: str | None
    nearest_score: dict[str, float]
    condition_number: float | None


@dataclass(frozen=True)
class ScoreRow:
    """One diagnostic over all actions: the score with the highest z, the median z, and how many are above MIN_Z."""

    name: str
    value: float
    z: float
    median_z: float
    above: int


@dataclass(frozen=True)
class ActionFacts:
    """What is known about the distinct actions of a model.

    Attributes:
        count: how many there are.
        labels: each label, with how many actions have it, most frequent first.
        above: how many have a score above MIN_Z.
        singular: how many are not invertible.
        nearly_singular: how many others have a condition number above NEARLY_SINGULAR.
        conditions: the condition numbers of those that are invertible; None if none is.
        collapsed: how many have two powers that are nearly multiples of each other.
        powers: the norm of the last filter of each orbit, relative to the first; None if the basis filters are not known.
        rows: the most structured actions.
        scores: all diagnostics.
    """

    count: int
    labels: list[tuple[str, int]]
    above: int
    singular: int
    nearly_singular: int
    conditions: Span | None
    collapsed: int
    powers: Span | None
    rows: list[ActionRow]
    scores: list[ScoreRow]

    @property
    def labelled(self) -> int:
        return sum(count for _, count in self.labels)

    @property
    def portrayed(self) -> int:
        """How many the gallery shows."""
        return min(self.count, PORTRAYED)

    @property
    def are_few(self) -> bool:
        """Whether the figures of orbits and effects show all actions."""
        return self.count <= len(STRUCTURES)

    @classmethod
    def of(cls, actions: Actions) -> ActionFacts:
        """Measure the actions of a model.

        Raises:
            ValueError: a power of an action is not finite.
        """
        distinct = actions.distinct()
        records = distinct.diagnose()
        conditions = [record["condition_number"] for record in records]
        finite = [condition for condition in conditions if condition is not None]
        scores = {name: [score_of(record, name) for record in records] for name in [*records[0]["scores"], NEAREST]}
        separations = power_separation(distinct.matrices, actions.order)
        return cls(
            count=len(records),
            labels=Counter(record["label"] for record in records if record["label"]).most_common(),
            above=sum(strongest(record)[1]["z"] > MIN_Z for record in records),
            singular=len(conditions) - len(finite),
            nearly_singular=sum(condition > NEARLY_SINGULAR for condition in finite),
            conditions=Span.of(finite),
            collapsed=0 if actions.rotation_angle is not None else int((separations < NEARLY_SAME).sum()),
            powers=_last_norms(actions),
            rows=[_row(record, actions.shared) for record in sorted(records, key=rank)[:ROWS]],
            scores=[_summary(name, found) for name, found in scores.items()],
        )


@dataclass(frozen=True)
class UnfoldedFacts(CardFacts):
    """All that the card of an unfolded network says. `actions` is None for a network without groups."""

    config: LGNConfig
    actions: ActionFacts | None

    @property
    def has_groups(self) -> bool:
        return self.actions is not None

    @property
    def layers(self) -> range:
        return range(self.config.num_layers)

    @property
    def kind(self) -> type[GroupAction]:
        """The kind of its actions: what is known of it before any training."""
        return action_kind(self.config.action, self.config.group_order)

    @property
    def is_fixed(self) -> bool:
        """Whether the actions are given, not learned."""
        return self.actions is not None and self.kind.is_fixed

    @property
    def is_shared_by_groups(self) -> bool:
        """Whether all groups of a layer, or of the network, have one action."""
        return self.config.action_sharing in ("layer", "network")

    @property
    def is_shared_by_layers(self) -> bool:
        return self.config.action_sharing == "network" or (self.config.action_sharing == "layer" and self.config.tied)


def _row(record: dict[str, Any], shared: tuple[bool, ...]) -> ActionRow:
    structure, score = strongest(record, record["scores"])
    nearest = None
    if record["nearest"]:
        first = record["nearest"][0]
        parameters = ", ".join(f"{name} {value}" for name, value in first["parameters"].items())
        nearest = first["operation"].replace("_", " ") + (f" ({parameters})" if parameters else "")
    return ActionRow(
        place=", ".join("all" if s else str(record[axis]) for axis, s in zip(AXES, shared, strict=True)),
        label=record["label"],
        structure=score_title(structure),
        score=score,
        nearest=nearest,
        nearest_score=score_of(record, NEAREST),
        condition_number=record["condition_number"],
    )


def _summary(name: str, found: list[dict[str, float]]) -> ScoreRow:
    best = max(found, key=lambda score: score["z"])
    return ScoreRow(
        name="nearest known operation" if name == NEAREST else score_title(name),
        value=best["value"],
        z=best["z"],
        median_z=statistics.median(score["z"] for score in found),
        above=sum(score["z"] > MIN_Z for score in found),
    )


def _last_norms(actions: Actions) -> Span | None:
    if actions.basis is None:
        return None
    norms = actions.orbit().flatten(-2).norm(dim=-1)  # (L, K, C, p)
    ratios = norms[..., -1] / norms[..., 0].clamp_min(1e-300)
    if not ratios.isfinite().all():
        raise ValueError("the powers of the actions are not finite")
    return Span.of(ratios.flatten().tolist())
