"""The command `lgn-hf compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..terminal import number, print_table
from .models import check_names, open_models
from .options import option

if TYPE_CHECKING:
    from ..actions import Distance


@click.command()
@click.argument("a")
@click.argument("b")
@option("--top", type=click.IntRange(1), default=5, show_default=True, help="Pairs of actions to show.")
def compare(a: str, b: str, top: int) -> None:
    """Compare the actions of two models.

    lgn_hf.actions.compare does it. The distance of a model from itself is 0. Chance is the distance of unrelated
    actions that have the same singular values. The most similar pairs of actions are shown with their cosine.
    """
    check_names((a, b))

    from ..actions import compare

    first, second = open_models((a, b))
    found = compare(first.actions, second.actions)

    def row(name: str, distance: Distance) -> list[str]:
        return [
            name,
            f"{distance.value:.3f}",
            f"{distance.chance:.3f} ± {distance.deviation:.3f}",
            number(distance.z),
        ]

    rows = [row("all", found.whole), *(row(f"layer {layer}", part) for layer, part in found.layers.items())]
    print_table(f"{first.name} and {second.name}", ["actions", "distance", "chance", "z"], rows)
    pairs = [[pair.a, pair.b, f"{pair.cosine:+.2f}"] for pair in found.pairs[:top]]
    print_table("the most similar actions", [first.name, second.name, "cosine"], pairs)
