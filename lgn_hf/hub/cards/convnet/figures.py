"""The figures of the card of a network over a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import Tensor

from ....actions import LARGEST_SIZE, Actions, known_operations, operation_text
from ....plotting import filter_plot, found_action_plot
from ..escaping import Markdown, markdown
from ..facts import PORTRAYED
from ..figure import ACTIONS, FILTERS, CardFigure
from ..words import element_name, square
from .facts import ConvNetFacts

MOST_ORBITS = 10  # columns of the picture of orbits
MOST_ELEMENTS = 16  # its rows
MOST_FREE = 40  # filters of the picture of free filters


@dataclass
class GroupSubject:
    """What the figures are drawn from: the elements of the group, with the basis filters of the first layer.

    most: how many elements a figure shows at most. None: all.
    """

    actions: Actions
    most: int | None = PORTRAYED

    @property
    def has_groups(self) -> bool:
        return self.actions.order > 1

    @property
    def filters(self) -> Tensor | None:
        """The orbits of the first layer, (K, |G|, C, n, n); None if its filters are not known."""
        actions = self.actions
        if actions.basis is None:
            return None
        basis = actions.basis[0, 0].unflatten(0, (-1, actions.config.get("num_channels", 1)))  # (K, C, n, n)
        vectors = basis.transpose(-1, -2).flatten(-2)  # vec is column-major
        images = (actions.matrices[0, :, 0] @ vectors[..., None, :, None]).squeeze(-1)  # (K, C, |G|, d)
        return images.unflatten(-1, (actions.size, actions.size)).transpose(-1, -2).transpose(1, 2)


def _draw_elements(subject: GroupSubject) -> Figure | None:
    if not subject.has_groups:
        return None
    actions = subject.actions[:, : subject.most]
    size = actions.size
    operations = known_operations(size) if size <= LARGEST_SIZE else []
    matrices = {(op.name, tuple(op.parameters.items())): op.matrix for op in operations}
    nearest, names = [], []
    for record in actions.diagnose():
        first = record["nearest"][0] if record["nearest"] else None
        key = (first["operation"], tuple(first["parameters"].items())) if first else None
        nearest.append(matrices.get(key) if key else None)
        text = operation_text(first["operation"], first["parameters"]) if first else None
        names.append(f"{text}\n{first['correlation']:+.2f}" if first and text else "")
    titles = [element_name(number) for number in actions.numbers[1]]
    return found_action_plot(actions.matrices.flatten(0, 2), nearest, titles, names)


def _elements_alt(facts: ConvNetFacts) -> str:
    dim = square(facts.group.dim)
    return (
        f"Heat maps of {_shown(facts, PORTRAYED)} of the group as {dim} matrices, each beside the known operation that it "
        "is most like. Blue is negative, white zero, red positive."
    )


def _elements_caption(facts: ConvNetFacts) -> Markdown:
    return markdown(
        "{} of {}, each with the nearest known operation and its correlation to the right. A {} block maps one column of "
        "the filter to another.",
        _shown(facts, PORTRAYED).capitalize(),
        facts.title,
        square(facts.config.filter_size),
    )


def _draw_orbits(subject: GroupSubject) -> Figure | None:
    filters = subject.filters
    if filters is None:
        return None
    if not subject.has_groups:
        return filter_plot(filters[:MOST_FREE])
    shown = filters[:MOST_ORBITS, :MOST_ELEMENTS]
    return filter_plot(shown, [element_name(number) for number in range(shown.shape[1])])


def _orbits_alt(facts: ConvNetFacts) -> str:
    if not facts.has_groups:
        return "The free filters of the first layer, each a small image."
    return "The filters of the first layer. Each column is one orbit: the basis filter on top, its images below."


def _orbits_caption(facts: ConvNetFacts) -> Markdown:
    count = facts.config.num_orbits[0]
    if not facts.has_groups:
        return markdown(
            "{} free filters of the first layer.", f"The first {MOST_FREE}" if count > MOST_FREE else "The"
        )
    which = f"the first {MOST_ORBITS} of {count}" if count > MOST_ORBITS else f"all {count}"
    rows = "" if facts.group.order <= MOST_ELEMENTS else f", under the first {MOST_ELEMENTS} elements"
    return markdown(
        "The basis filters of the first layer and their orbits, {} of them{}. Each column is one orbit, and a row is "
        "what one element makes of all basis filters.",
        which,
        rows,
    )


def _shown(facts: ConvNetFacts, most: int) -> str:
    count = facts.group.order
    return f"all {count} elements" if count <= most else f"the first {most} of {count} elements"


FIGURES = (
    CardFigure("elements", ACTIONS, _draw_elements, _elements_alt, _elements_caption),
    CardFigure("filters-0", FILTERS, _draw_orbits, _orbits_alt, _orbits_caption),
)


def figures(layers: Sequence[int]) -> tuple[CardFigure, ...]:
    """The figures of a network."""
    return FIGURES
