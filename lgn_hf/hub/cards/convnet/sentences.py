"""The sentences of a card that are about a network over a group: what it is, and what its group is."""

from __future__ import annotations

from ....convnet.configuration_lgn_convnet import GROUPS
from ....plotting import number_text
from ....runs.dataset_name import data_name
from ....runs.group_origin import FOUND
from .. import sentences
from ..escaping import NOTHING, Markdown, joined, markdown
from ..tasks import task_text
from ..words import element_name, listing, percent, plural, square
from .facts import ConvNetFacts, confidence_interval

POOLINGS = {
    "max": "the largest value of each orbit",
    "mean": "the mean of each orbit",
    "none": "every map of the orbits",
}
OF_PIXELS = {"max": "at its largest in the image", "mean": "averaged over the image"}


def introduction(facts: ConvNetFacts) -> Markdown:
    """What the network does, and how its filters come about."""
    does = markdown("{} images of {}", task_text(facts.results.task).verb, sentences.dataset_link(facts))
    if not facts.has_groups:
        return markdown(
            "A residual convolution network that {}. **It has no group structure**: all of its filters are free "
            '(`group="trivial"`). It is the free twin of networks whose filters are orbits of a linear group.',
            does,
        )
    return markdown(
        "A residual convolution network over the linear group **{name}** that {does}. Every filter is in an orbit of "
        "this group: a layer has basis filters W, and its filters are ρ(g)W for all {order} elements g. Each ρ(g) is a "  # noqa: RUF001
        "{dim} matrix that acts on the pixels of {size} filters. The classifier sees {pooled}, {of_pixels}.",
        name=facts.title,
        does=does,
        order=facts.group.order,
        dim=square(facts.group.dim),
        size=square(facts.config.filter_size),
        pooled=Markdown(POOLINGS[facts.config.orbit_pooling]),
        of_pixels=Markdown(OF_PIXELS[facts.config.spatial_pooling]),
    )


def kind(facts: ConvNetFacts) -> Markdown:
    """How the group came about."""
    name = markdown("{}", facts.source or "")
    texts = {
        "free": "",
        "told": "The group was told: {named}.",
        "learned": "The group was learned with the filters. Its elements are S ρ(g) S⁻¹: ρ is {named}, and the matrix S "  # noqa: RUF001
        "is learned and shared by all layers. So the group law holds, whatever was learned.",
        "discovered": "The group was not told: it was found in {data}, and is used as it was found.",
        "snapped": "The group was not told: it was found in {data}, and its elements were then moved to the nearest "
        "symmetries of the pixel grid.",
        "given": "The group was given as matrices{source}.",
    }
    return markdown(
        texts[facts.origin],
        named=Markdown(group_text(facts)),
        data=markdown("{}", data_of(facts)),
        source=markdown(" ({})", name) if name else NOTHING,
    )


def group_text(facts: ConvNetFacts) -> str:
    """A group that the configuration names, in words: `rotations by 90 degrees`."""
    config = facts.config
    if config.group == "given":
        return "a group of given matrices"
    words = GROUPS[config.group][0].replace("these rotations", GROUPS["rotation"][0])
    return words.replace("360 / group_order", f"{360 / config.group_order:g}").replace(
        "group_order", str(config.group_order)
    )


def data_of(facts: ConvNetFacts) -> str:
    """The data that the group was found in."""
    return data_name((facts.source or "").removeprefix(FOUND)).display_name


def result(facts: ConvNetFacts) -> Markdown:
    """How good the model is, and how sure that is."""
    results, metric = facts.results, task_text(facts.results.task).metric
    low, high = confidence_interval(results.test(metric), results.data.test)
    confidence = markdown(
        "With {}, the 95 % confidence interval of its {} is {} to {}.",
        plural(results.data.test, "test image"),
        metric,
        percent(low),
        percent(high),
    )
    return joined(" ", [sentences.result(facts), confidence])


def finding(facts: ConvNetFacts) -> Markdown:
    """What the elements of the group are, and how equivariant the trained network is."""
    return joined(" ", [elements(facts), equivariance(facts)])


def elements(facts: ConvNetFacts) -> Markdown:
    """How many elements the group has, and what generates them."""
    names = listing([element_name(number) for number in facts.group.generator_indices])
    verb = "generates" if len(facts.group.generator_indices) == 1 else "generate"
    return markdown("{} has {}, which {} {}.", facts.title, plural(facts.group.order, "element"), names, verb)


def equivariance(facts: ConvNetFacts) -> Markdown:
    """How far the trained network is from equivariance."""
    found = facts.equivariance
    if found is None:
        return NOTHING
    logits = [element.logits for element in found.elements[1:]]
    known = [error for error in logits if error is not None]
    rest = len(logits) - len(known)
    if not known:
        return markdown(
            "No element but the identity is near a symmetry of the pixel grid, so there is no map of images under which "
            "the trained network could be equivariant."
        )
    if facts.is_exact:
        grid = f"the {len(known) + 1} elements that are symmetries of the pixel grid"
        text = markdown(
            "**The trained network is exactly equivariant** under {}: its logits do not change when one of these moves "
            "the image",
            grid if rest else f"all {len(logits) + 1} elements of its group",
        )
    elif not any(element.features for element in found.elements):
        text = markdown(
            "**The last maps of the trained network are exactly equivariant, and its classifier is not invariant**: when "
            "an element moves the image, the logits change by {} of their norm",
            _range(known),
        )
    else:
        text = markdown(
            "**The trained network is not exactly equivariant**: when the symmetry of the pixel grid that is nearest to "
            "an element moves the image, the logits change by {} of their norm",
            _range(known),
        )
    others = (
        markdown("The other {} are not symmetries of the pixel grid.", plural(rest, "element")) if rest else NOTHING
    )
    return joined(" ", [markdown("{} (measured on {}).", text, found.images), others])


def _range(errors: list[float]) -> str:
    low, high = number_text(min(errors)), number_text(max(errors))
    return low if low == high else f"{low} to {high}"
