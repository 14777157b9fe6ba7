"""The sentences of a card about the limits of an unfolded network. Each is empty if there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence

from ....plotting import number_text
from ....runs.results import RunResults
from ..escaping import NOTHING, Markdown, markdown
from ..facts import Span
from ..limitations import data_note, one_seed, purpose, unknown_training, validation_gap, whitening
from ..words import elements, orbit, plural, some_actions
from .facts import NEARLY_SAME, NEARLY_SINGULAR, ActionFacts, UnfoldedFacts

PAPER_EPOCHS = 100


def limitations(facts: UnfoldedFacts, compared: Sequence[Markdown] = ()) -> list[Markdown]:
    """What a reader must know before using the model; `compared` is about the comparison with free filters."""
    actions, results, run = facts.actions, facts.results, facts.run
    found = [
        *compared,
        *([] if actions is None else action_limitations(facts, actions)),
        whitening(results),
        validation_gap(results),
        data_note(results),
        *([one_seed(run), few_epochs(run)] if run else [unknown_training()]),
        purpose(facts),
    ]
    return [sentence for sentence in found if sentence]


def action_limitations(facts: UnfoldedFacts, actions: ActionFacts) -> list[Markdown]:
    """What limits the actions of a network."""
    order = facts.config.group_order
    if facts.is_fixed:
        return [fixed_action(facts, actions), powers(actions, "the last filter of a group")]
    return [
        cost_of_actions(facts),
        singular(actions),
        conditions(actions),
        unstructured(actions),
        finite_group(facts),
        fading(actions, order) or powers(actions, orbit(order)[-1]),
        collapse(actions, order),
    ]


def cost_of_actions(facts: UnfoldedFacts) -> Markdown:
    """Whether free filters would need fewer parameters than actions and basis filters."""
    filters, order = facts.config.num_basis_parameters, facts.config.group_order
    used = filters + facts.config.num_action_parameters
    if used <= filters * order:
        return NOTHING
    return markdown(
        "The actions cost more parameters than they save: the same number of free filters would have {:,} parameters "
        "instead of {:,}.",
        filters * order,
        used,
    )


def fixed_action(facts: UnfoldedFacts, actions: ActionFacts) -> Markdown:
    """What keeps a fixed action from generating a group."""
    angle = facts.config.rotation_angle
    if actions.singular or actions.conditions is None:
        state = "not invertible"
    elif actions.nearly_singular:
        state = f"nearly singular (condition number {number_text(actions.conditions.most)})"
    else:
        return NOTHING
    if angle is None:
        return markdown("The action is {}. It generates a cyclic group only approximately.", state)
    return markdown(
        "The rotation of a square filter by {:g}° is {}, because corners leave the square. It generates a cyclic group "
        "only approximately.",
        angle,
        state,
    )


def singular(actions: ActionFacts) -> Markdown:
    """How many actions are not invertible."""
    number, count = actions.singular, actions.count
    if not number:
        return NOTHING
    if count == 1:
        return Markdown("The action is singular: it is not invertible and generates no group.")
    if number == 1:
        return markdown("{} is singular: it is not invertible and generates no group.", some_actions(number, count))
    return markdown("{} are singular: they are not invertible and generate no groups.", some_actions(number, count))


def conditions(actions: ActionFacts) -> Markdown:
    """How well the invertible actions can be inverted."""
    found, number = actions.conditions, actions.nearly_singular
    if found is None:
        return NOTHING
    if actions.count == 1:
        end = ", so it is nearly singular" if number else ""
        return markdown("The condition number of the action is {}{}.", number_text(found.median), end)
    return markdown(
        "{some} {are} nearly singular (condition number above {limit:,.0f}). Condition numbers range from {least} to {most}, "
        "with median {median}.",
        some=some_actions(number, actions.count),
        are="is" if number <= 1 else "are",
        limit=NEARLY_SINGULAR,
        least=number_text(found.least),
        most=number_text(found.most),
        median=number_text(found.median),
    )


def unstructured(actions: ActionFacts) -> Markdown:
    """How many actions have no label."""
    number = actions.count - actions.labelled
    if not number:
        return NOTHING
    if actions.count == 1:
        return Markdown("The action shows no structure that the diagnostics recognise.")
    return markdown(
        "{} {} no structure that the diagnostics recognise.",
        some_actions(number, actions.count),
        "shows" if number == 1 else "show",
    )


def finite_group(facts: UnfoldedFacts) -> Markdown:
    """Whether the powers of A form a group."""
    if facts.kind.is_group_by_construction:
        return NOTHING
    return Markdown(
        "Nothing forces the powers of A to form a finite group. The spectra show how far they are from one."
    )


def fading(actions: ActionFacts, order: int) -> Markdown:
    """Whether the filters of an orbit become much smaller or larger."""
    found = actions.powers
    if found is None or 0.5 <= found.median <= 2:
        return NOTHING
    if found.median > 2:
        return markdown("The powers of A grow: the norm of {} is {}.", orbit(order)[-1], times_w(found))
    return markdown(
        "The powers of A fade: the norm of {} is {}, so the later filters of a group contribute less.",
        orbit(order)[-1],
        times_w(found),
    )


def powers(actions: ActionFacts, last: str) -> Markdown:
    """How large the last filter of an orbit is beside the first."""
    return markdown("The norm of {} is {}.", last, times_w(actions.powers)) if actions.powers else NOTHING


def times_w(found: Span) -> Markdown:
    """Norms beside those of W."""
    median, least, most = map(number_text, (found.median, found.least, found.most))
    if least == most:
        return markdown("{} times that of W", median)
    return markdown("{} times that of W (median; range {} to {})", median, least, most)


def collapse(actions: ActionFacts, order: int) -> Markdown:
    """How many actions have powers that are nearly the same."""
    number, count = actions.collapsed, actions.count
    if not number:
        return NOTHING
    return markdown(
        "The powers of {} collapse: two of {} are nearly multiples of each other (separation below {:g}).",
        "the action" if count == 1 else some_actions(number, count).replace("All", "all"),
        ", ".join(elements(order)),
        NEARLY_SAME,
    )


def few_epochs(results: RunResults) -> Markdown:
    """Whether the papers train for longer."""
    if results.epochs >= PAPER_EPOCHS:
        return NOTHING
    return markdown("Trained for {}; the papers train for {}.", plural(results.epochs, "epoch"), PAPER_EPOCHS)
