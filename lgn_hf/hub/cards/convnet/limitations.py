"""What a network over a group is for, and its limits. Each sentence is empty if there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from ..escaping import NOTHING, Markdown
from ..limitations import data_note, one_seed, purpose, unknown_training, validation_gap, whitening
from .facts import ConvNetFacts


def limitations(facts: ConvNetFacts, compared: Sequence[Markdown] = ()) -> list[Markdown]:
    """What a reader must know before using the model; `compared` is about the comparison with free filters."""
    results, run = facts.results, facts.run
    found = [
        purpose(facts),
        *compared,
        other_moves(facts),
        whitened_group(facts),
        whitening(results),
        validation_gap(results),
        data_note(results),
        one_seed(run) if run else unknown_training(),
    ]
    return [sentence for sentence in found if sentence]


def other_moves(facts: ConvNetFacts) -> Markdown:
    """What the group does not promise."""
    if not facts.has_groups:
        return Markdown("Nothing in this network keeps its answer when an image is turned or mirrored.")
    if facts.is_exact:
        return Markdown(
            "The network is equivariant under the elements that the table says, and under nothing else. Images that are "
            "turned by other angles, moved, scaled or cut off are new images for it."
        )
    return Markdown(
        "The group law holds for the matrices on filters. An element that is not a symmetry of the pixel grid moves "
        "filters, and no map of images corresponds to it exactly."
    )


def whitened_group(facts: ConvNetFacts) -> Markdown:
    """Whether the image processor breaks the symmetry."""
    if not facts.has_groups or facts.results.whitening == "none":
        return NOTHING
    return Markdown(
        "The equivariance is that of the network. Its image processor whitens images, which need not commute with the "
        "group."
    )
