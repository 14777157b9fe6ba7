"""The sentences of a card that are about an unfolded network: what it is, and what was found about its actions."""

from __future__ import annotations

from ....actions import MIN_Z
from ..escaping import NOTHING, Markdown, joined, markdown
from ..sentences import dataset_link
from ..tasks import task_text
from ..words import has, orbit, plural, some_actions, square
from .facts import ActionFacts, UnfoldedFacts

FAR = Markdown(f"more than {MIN_Z:g} standard deviations above that of random matrices (z > {MIN_Z:g})")


def introduction(facts: UnfoldedFacts) -> Markdown:
    """What the network does, and how its filters come about."""
    config = facts.config
    does = markdown("{} images of {}", task_text(facts.results.task).verb, dataset_link(facts))
    layers = plural(config.num_layers, "layer")
    if facts.actions is None:
        return markdown(
            "An unfolded sparse-coding network of {layers} that {does}. **It has no group structure**: all {filters} "
            "filters of a layer are free (`group_order` 1). It is the unconstrained baseline of Linear Group Networks "
            "(LGNs), whose filters are orbits of group actions.",
            layers=layers,
            does=does,
            filters=config.num_groups,
        )
    return markdown(
        "A Linear Group Network (LGN) that {does}. It unfolds sparse coding into {layers}. The filters of each layer form "
        "{groups} of {order}: each group is the orbit {orbit} of one {size} basis filter W under a matrix A that acts on "
        "its pixels{sharing}.",
        does=does,
        layers=layers,
        groups=plural(config.num_groups, "group"),
        order=config.group_order,
        orbit=", ".join(orbit(config.group_order)),
        size=square(config.filter_size),
        sharing=shared_action(facts),
    )


def kind_of_action(facts: UnfoldedFacts) -> Markdown:
    """What is special about this kind of action."""
    config = facts.config
    if facts.actions is None:
        return NOTHING
    return Markdown(facts.kind.card_text(config.group_order, config.filter_size))


def shared_action(facts: UnfoldedFacts) -> Markdown:
    """The end of a sentence: which groups have the same A."""
    if facts.is_fixed or not facts.is_shared_by_groups:
        return NOTHING
    if facts.is_shared_by_layers:
        return Markdown("; all groups of all layers share one A")
    return Markdown("; all groups of a layer share one A")


def finding(facts: UnfoldedFacts) -> Markdown:
    """What the diagnostics say about the actions."""
    actions, angle = facts.actions, facts.config.rotation_angle
    if actions is None:
        return NOTHING
    if facts.is_fixed:
        rotation = "" if angle is None else f", a bilinear rotation by {angle:g}°"
        return markdown("All groups have the same fixed action{}. Only the basis filters were learned.", rotation)
    found = finding_of_one(actions) if actions.count == 1 else finding_of_many(actions)
    return joined(" ", [found, group_by_construction(facts, actions)])


def finding_of_one(actions: ActionFacts) -> Markdown:
    """What the diagnostics say about the only action."""
    structure = Markdown("**The action has no recognised structure.**")
    if actions.labels:
        structure = markdown("**The action has a recognised structure**: {}.", actions.labels[0][0])
    scores = "At least one of its scores is" if actions.above else "None of its scores is"
    return markdown("{} {} {}.", structure, scores, FAR)


def finding_of_many(actions: ActionFacts) -> Markdown:
    """What the diagnostics say about several actions."""
    count, labelled, above = actions.count, actions.labelled, actions.above
    if not labelled:
        nothing = markdown("**None of the {} actions has a recognised structure.**", count)
        if not above:
            return markdown("{} None of them has a score {}.", nothing, FAR)
        return markdown(
            "{} {} of them {} a score {}, but no such score is large enough to call an action a rotation, a convolution or "
            "any other known operation.",
            nothing,
            "All" if above == count else above,
            has(above),
            FAR,
        )
    names = [markdown("{} × {}", label, n) if n > 1 else label for label, n in actions.labels]  # noqa: RUF001
    found = markdown(
        "**{} {} a recognised structure** ({}): at least one score that is both large and {}.",
        some_actions(labelled, count),
        has(labelled),
        joined(", ", names),
        FAR,
    )
    rest = count - labelled
    others = markdown("The other {} {} none.", "one" if rest == 1 else rest, has(rest)) if rest else NOTHING
    all_above = some_actions(above, count).lower()
    small = markdown("Counting small scores as well, {} {} at least one that far above chance.", all_above, has(above))
    return joined(" ", [found, others, small if above > labelled else NOTHING])


def group_by_construction(facts: UnfoldedFacts, actions: ActionFacts) -> Markdown:
    """That a structure which was built in is not a discovery."""
    if not (facts.kind.is_group_by_construction and actions.labels):
        return NOTHING
    what = "The action generates" if actions.count == 1 else "The actions generate"
    return markdown("{} a finite group by construction, so a label that says so is not a discovery.", what)
