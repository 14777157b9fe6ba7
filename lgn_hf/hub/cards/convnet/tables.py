"""The tables of the card of a network over a group, as rows of cells."""

from __future__ import annotations

from typing import Any

from ....plotting import number_text
from ....runs.group_origin import ORIGINS
from ..escaping import Code, markdown
from ..tables import class_rows
from ..words import element_name, square
from .facts import ConvNetFacts

MOST_ELEMENTS = 24


def architecture(facts: ConvNetFacts) -> list[list[Any]]:
    """Property and value: what the network is built of."""
    config, group = facts.config, facts.group
    side, colour = square(config.image_size), "grey" if config.num_channels == 1 else "colour"
    rows: list[list[Any]] = []
    if facts.has_groups:
        matrices = f"{square(group.dim)}, {'learned' if facts.is_learned else 'fixed'}"
        rows += [
            ["group", markdown("{}, {} elements, {}", facts.title, group.order, ORIGINS[facts.origin])],
            ["matrices of its elements", matrices],
            ["orbits per layer, by stage", listed(config.num_orbits)],
        ]
    norms = "along each orbit" if facts.has_groups else "of each map"
    rows += [
        ["maps per layer, by stage", listed(config.num_maps)],
        ["residual blocks, by stage", listed(config.depths)],
        ["filter size", f"{square(config.filter_size)} pixels"],
        ["batch normalisation", f"one mean and variance {norms if config.share_norms else 'of each map'}"],
    ]
    if facts.has_groups:
        rows.append(["pooling over the group", config.orbit_pooling])
    rows.append(["pooling over the pixels", config.spatial_pooling])
    return [
        *rows,
        ["input", f"{side} pixels, {colour}, whitening: {facts.results.whitening}"],
        ["parameters", parameters(facts)],
        *class_rows(facts),
    ]


def parameters(facts: ConvNetFacts) -> str:
    """All parameters, those of the filters per orbit, and what free filters would take."""
    config, count = facts.config, f"{facts.results.parameters:,}"
    if not facts.has_groups:
        return count
    basis, orbits = config.num_basis_parameters, config.num_layer_orbits
    action = f"; {config.num_action_parameters:,} in the group" if facts.is_learned else ""
    return (
        f"{count}, of which {basis:,} in the basis filters of {orbits} orbits{action}. An orbit of {facts.group.order} "
        f"filters takes {basis / orbits:,.0f} on average, and as many free filters "
        f"{basis * facts.group.order / orbits:,.0f}"
    )


def element_rows(facts: ConvNetFacts) -> list[list[Any]]:
    """One row per element of the group, the identity first."""
    measured = facts.equivariance.elements if facts.equivariance else [None] * len(facts.elements)
    return [
        [
            element_name(row.number),
            row.order,
            row.nearest or "not compared",
            f"{abs(row.correlation):.2f}" if row.nearest else "",
            "singular" if row.condition_number is None else number_text(row.condition_number),
            (element.symmetry if element else None) or "none",
            error_text(element.features if element else None),
            error_text(element.logits if element else None),
        ]
        for row, element in zip(facts.elements[:MOST_ELEMENTS], measured[:MOST_ELEMENTS], strict=True)
    ]


def error_text(error: float | None) -> Any:
    """An error of equivariance: exact, a number, or nothing."""
    return Code("") if error is None else "exact" if error == 0 else f"{error:.2g}"


def listed(counts: list[int]) -> str:
    """Numbers, or one if all are the same.

    Example:
        >>> listed([10, 10, 10]), listed([4, 6])
        ('10', '4, 6')
    """
    return str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts))
