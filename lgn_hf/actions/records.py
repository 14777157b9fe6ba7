"""Reading a record of `actions.json`: one score, the strongest score, the order of records.

A score that a record lacks counts as nothing, value 0 and z 0: files of other versions have fewer
or more scores.
"""

from __future__ import annotations

from collections.abc import Iterable

from .registry import NEAREST, Record


def score_of(record: Record, name: str) -> dict[str, float]:
    """The value and z of a score, or of the nearest known operation for the name "nearest"; 0 if absent.

    Example:
        >>> record = {"scores": {"toeplitz": {"value": 0.25, "z": None}}, "nearest": []}
        >>> score_of(record, "toeplitz"), score_of(record, "circulant")
        ({'value': 0.25, 'z': 0.0}, {'value': 0.0, 'z': 0.0})
    """
    if name != NEAREST:
        found = record["scores"].get(name, {})
    elif record["nearest"]:
        best = record["nearest"][0]
        found = {"value": best["correlation"], "z": best["z"]}
    else:
        found = {}
    return {key: found.get(key) or 0.0 for key in ("value", "z")}


def strongest(record: Record, names: Iterable[str] | None = None) -> tuple[str, dict[str, float]]:
    """The name and `score_of` of the score that is furthest above chance, among `names`.

    By default, and if `names` is empty, among all scores of the record and the nearest known
    operation.
    """
    found = {name: score_of(record, name) for name in names or [*record["scores"], NEAREST]}
    return max(found.items(), key=lambda item: item[1]["z"])


def rank(record: Record) -> tuple[bool, float]:
    """A key that sorts records, the most structured action first: labelled ones first, then by the strongest z."""
    return not record["label"], -strongest(record)[1]["z"]
