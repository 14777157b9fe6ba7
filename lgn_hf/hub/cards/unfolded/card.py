"""What the card of an unfolded network has of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....actions import MIN_Z, TENSORS_NAME, Actions
from ....model.configuration_lgn import LGNConfig
from ....runs.results import Results
from ....runs.trained_model import CONFIG_NAME
from ..escaping import Code, Markdown
from ..families import FamilyCard
from ..figure import ACTIONS, FILTERS
from ..sentences import result
from ..words import square
from .facts import ActionFacts, UnfoldedFacts
from .figures import figures
from .limitations import limitations
from .sentences import finding, introduction, kind_of_action
from .subject import ActionSubject
from .tables import action_rows, architecture, score_rows

CITATION = """\
@article{theodosis2023learning,
  title   = {Learning Linear Groups in Neural Networks},
  author  = {Theodosis, Emmanouil and Helwani, Karim and Ba, Demba},
  journal = {arXiv preprint arXiv:2305.18552},
  year    = {2023}
}
@inproceedings{theodosis2022unfolded,
  title     = {Learning unfolded networks with a cyclic group structure},
  author    = {Theodosis, Emmanouil and Ba, Demba},
  booktitle = {NeurIPS Workshop on Symmetry and Geometry in Neural Representations, Extended Abstract Track},
  year      = {2022}
}"""


def read_facts(folder: Path, config: LGNConfig, results: Results, actions: Actions) -> UnfoldedFacts:
    """The facts of a published model.

    Raises:
        ValueError: the actions are not those of a network with this configuration.
    """
    shape = (config.num_layers, config.num_groups, config.num_action_channels, config.filter_dim)
    if (*actions.matrices.shape[:-1], actions.order) != (*shape, config.group_order):
        raise ValueError(f"{folder}: {TENSORS_NAME} does not belong to {CONFIG_NAME}: {actions!r}")
    return UnfoldedFacts(config, results, ActionFacts.of(actions) if config.group_order > 1 else None)


def measure(model: Any, folder: Path, examples: Sequence[Path]) -> None:
    """The other files say all that the card needs."""


def part(folder: Path, facts: UnfoldedFacts, address: str) -> dict[str, Any]:
    """What fills the part of the card about the actions, or about free filters."""
    from ..figures import shown_figures

    actions = facts.actions
    contents = {
        "address": Code(address),
        "has_actions": actions is not None,
        "filters": shown_figures(folder, facts, FILTERS),
    }
    if actions is None:
        return contents
    is_one = actions.count == 1 or facts.is_fixed
    return contents | {
        "dim": square(facts.config.filter_dim),
        "actions_heading": "The actions" if facts.is_fixed else "What it learned",
        "finding": finding(facts),
        "action_figures": shown_figures(folder, facts, ACTIONS),
        "rows_heading": "What the diagnostics say about the action" if is_one else "The most structured actions",
        "action_rows": action_rows(actions),
        "score_rows": [] if is_one else score_rows(actions),
        "count": actions.count,
        "min_z": f"{MIN_Z:g}",
    }


CARD = FamilyCard(
    facts=read_facts,
    measure=measure,
    introduction=introduction,
    kind=kind_of_action,
    result=result,
    architecture=architecture,
    template="card_actions.md.jinja",
    part=part,
    limitations=limitations,
    limitations_heading="Limitations",
    subject=ActionSubject,
    figures=figures,
    tags=("lgn", "linear-group-network", "group-actions", "equivariance", "sparse-coding"),
    tag=lambda facts: f"lgn-{facts.config.action if facts.has_groups else 'baseline'}",
    citation=(
        Markdown(
            "[Learning Linear Groups in Neural Networks](https://arxiv.org/abs/2305.18552), and before it the\n"
            "networks whose groups are rotations:"
        ),
        Code(CITATION),
    ),
)
