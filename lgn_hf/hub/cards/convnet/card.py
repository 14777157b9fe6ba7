"""What the card of a network over a group has of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..escaping import Code, Markdown
from ..families import FamilyCard
from ..figure import ACTIONS, FILTERS
from ..words import square
from .equivariance import measure
from .facts import ConvNetFacts
from .figures import GroupSubject, figures
from .limitations import limitations
from .sentences import finding, introduction, kind, result
from .tables import MOST_ELEMENTS, architecture, element_rows

CITATION = """\
@article{theodosis2023learning,
  title   = {Learning Linear Groups in Neural Networks},
  author  = {Theodosis, Emmanouil and Helwani, Karim and Ba, Demba},
  journal = {arXiv preprint arXiv:2305.18552},
  year    = {2023}
}
@inproceedings{cohen2016group,
  title     = {Group Equivariant Convolutional Networks},
  author    = {Cohen, Taco and Welling, Max},
  booktitle = {International Conference on Machine Learning},
  year      = {2016}
}"""


def part(folder: Path, facts: ConvNetFacts, address: str) -> dict[str, Any]:
    """What fills the part of the card about the group, or about free filters."""
    from ..figures import shown_figures

    config, group = facts.config, facts.group
    shape = (config.num_orbits[0], group.order, config.num_channels, config.filter_size, config.filter_size)
    return {
        "address": Code(address),
        "has_groups": facts.has_groups,
        "group": Code(repr(group)),
        "filters_shape": Code(shape),
        "dim": Code((group.dim, group.dim)),
        "dims": square(group.dim),
        "finding": finding(facts) if facts.has_groups else "",
        "element_figures": shown_figures(folder, facts, ACTIONS),
        "element_rows": element_rows(facts) if facts.has_groups else [],
        "hidden_elements": max(0, group.order - MOST_ELEMENTS),
        "is_measured": facts.equivariance is not None,
        "filters": shown_figures(folder, facts, FILTERS),
    }


def _tag(facts: ConvNetFacts) -> str:
    name = re.sub(r"[^a-z0-9]", "", facts.group.name.lower())
    return f"lgn-convnet-{name}" if facts.has_groups else "lgn-convnet-free"


CARD = FamilyCard(
    facts=ConvNetFacts.read,
    measure=measure,
    introduction=introduction,
    kind=kind,
    result=result,
    architecture=architecture,
    template="card_group.md.jinja",
    part=part,
    limitations=limitations,
    limitations_heading="Intended use and limits",
    subject=GroupSubject,
    figures=figures,
    tags=("lgn", "linear-group-network", "lgn-convnet", "group-actions", "equivariance", "group-convolution"),
    tag=_tag,
    citation=(
        Markdown(
            "The group actions are those of [Learning Linear Groups in Neural "
            "Networks](https://arxiv.org/abs/2305.18552), and the layers those of [Group Equivariant Convolutional "
            "Networks](https://arxiv.org/abs/1602.07576):"
        ),
        Code(CITATION),
    ),
)
