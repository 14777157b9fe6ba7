"""Labels: the one name of an action, given only if it is far outside chance and holds most of its energy."""

from __future__ import annotations

from .operations import operation_text
from .records import score_of
from .registry import NEAREST, SCORES, Record, Score

MIN_Z = 5.0

# Thresholds ask for more than half of the energy: a correlation of 0.71 is half. Where random
# matrices have about half already, they ask for half of the rest.
NEAREST_THRESHOLD = 0.5**0.5

# A special structure is named, not the general one, if it explains this share of what that does.
NESTED = 0.95


def label_of(record: Record) -> str | None:
    """The name of an action, or None if the action is unstructured.

    A structure may name an action if its z is above `MIN_Z` and its value is above its threshold.
    The nearest known operation comes first, then the scores by their `Score.precedence`: a cyclic
    order, then the most special structure.

    Args:
        record: a record of `actions.json`; its `label` is not read.
    """
    best = score_of(record, NEAREST)
    if best["z"] > MIN_Z and abs(best["value"]) > NEAREST_THRESHOLD:
        operation = record["nearest"][0]
        words = operation_text(operation["operation"], operation["parameters"]) or operation["operation"]
        return f"negated {words}" if best["value"] < 0 else words
    for score in sorted(SCORES.values(), key=lambda score: score.precedence):
        label = _label_by(score, record)
        if label is not None:
            return label
    return None


def _label_by(score: Score, record: Record) -> str | None:
    """The name that one score gives to an action, if any."""
    found = score_of(record, score.name)
    if score.label is None or found["z"] <= MIN_Z or found["value"] <= score.threshold:
        return None
    if score.special_case_of and found["value"] <= NESTED * score_of(record, score.special_case_of)["value"]:
        return None
    return score.label if isinstance(score.label, str) else score.label(record)
