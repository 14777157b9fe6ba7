"""The tables of the card of an unfolded network, as rows of cells."""

from __future__ import annotations

from typing import Any

from ....plotting import number_text
from ..escaping import unbroken
from ..tables import class_rows
from ..words import square
from .facts import ActionFacts, UnfoldedFacts


def architecture(facts: UnfoldedFacts) -> list[list[Any]]:
    """Property and value: what the network is built of."""
    config, actions = facts.config, facts.actions
    size, dim = square(config.filter_size), square(config.filter_dim)
    rows: list[list[Any]] = [
        ["groups per layer, K", config.num_groups],
        ["filters per group, p", config.group_order if actions else f"{config.group_order} (no groups)"],
        [
            "layers, L",
            f"{config.num_layers}, {'sharing their filters' if config.tied else 'each with its own filters'}",
        ],
        ["filter size", f"{size} pixels, so A is {dim}" if actions else f"{size} pixels"],
    ]
    if actions:
        weight = "" if config.regularizer == "none" else f", weight {config.regularizer_weight:g}"
        rows += [
            ["actions", f"{config.action}, {action_sharing(facts)}"],
            ["regularizer", f"{config.regularizer}{weight}"],
            ["projection", config.projection],
        ]
    side, colour = square(config.image_size), "grey" if config.num_channels == 1 else "colour"
    rows += [
        ["algorithm", f"{config.algorithm}, step size {config.step_size:g}"],
        ["input", f"{side} pixels, {colour}, whitening: {facts.results.whitening}"],
        ["parameters", parameters(facts)],
        *class_rows(facts),
    ]
    return rows


def action_sharing(facts: UnfoldedFacts) -> str:
    """What has an action of its own."""
    config = facts.config
    if facts.is_fixed:
        return "the same for all groups"
    if facts.is_shared_by_groups:
        return (
            "one for the whole network"
            if facts.is_shared_by_layers
            else "one per layer, shared by its groups and channels"
        )
    owners = [*([] if config.tied else ["layer"]), "group", *(["channel"] if config.num_action_channels > 1 else [])]
    return "one per " + ", ".join(owners[:-1]) + (" and " if owners[1:] else "") + owners[-1]


def parameters(facts: UnfoldedFacts) -> str:
    """All parameters, and those of the actions and of the basis filters."""
    config, count = facts.config, f"{facts.results.parameters:,}"
    if not config.num_action_parameters:
        return count
    return f"{count}, of which {config.num_action_parameters:,} in the actions and {config.num_basis_parameters:,} in the basis filters"


def action_rows(actions: ActionFacts) -> list[list[Any]]:
    """One row per action, the most structured first."""
    return [
        [
            row.place,
            unbroken(row.label or "none"),
            unbroken(row.structure),
            *_value_and_z(row.score),
            unbroken(row.nearest or "not compared"),
            *_value_and_z(row.nearest_score),
            "singular" if row.condition_number is None else number_text(row.condition_number),
        ]
        for row in actions.rows
    ]


def score_rows(actions: ActionFacts) -> list[list[Any]]:
    """One row per diagnostic."""
    return [[row.name, f"{row.value:.2f}", f"{row.z:.1f}", f"{row.median_z:.1f}", row.above] for row in actions.scores]


def _value_and_z(score: dict[str, float]) -> tuple[str, str]:
    return f"{score['value']:.2f}", f"{score['z']:.1f}"
