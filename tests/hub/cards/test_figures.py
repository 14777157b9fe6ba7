"""Each figure of a card declares all that the card needs of it."""

from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure

from lgn_hf import Actions
from lgn_hf.hub.cards import draw_figures
from lgn_hf.hub.cards.escaping import markdown
from lgn_hf.hub.cards.figure import ACTIONS, EXAMPLES, FILTERS, TRAINING, CardFigure
from lgn_hf.hub.cards.figures import FIGURES, figures_of, shown_figures
from lgn_hf.hub.cards.unfolded import CARD, figures
from tests.hub.cards.test_sentences import actions_with, facts_with

FACTS = {
    "learned": facts_with(actions_with()),
    "few": facts_with(actions_with(count=2)),
    "one": facts_with(actions_with(count=1), action="cyclic", action_sharing="network"),
    "rotation": facts_with(actions_with(count=1), action="rotation"),
}


def test_every_figure_has_its_own_name_and_a_place():
    every = (*FIGURES, *figures.FIGURES)
    names = [figure.name for figure in every]
    assert len(set(names)) == len(names)
    assert {figure.place for figure in every} <= {EXAMPLES, ACTIONS, TRAINING}
    assert [figure.name for figure in figures_of(FILTERS, CARD, range(2))] == ["filters-0", "filters-1"]


@pytest.mark.parametrize("kind", FACTS)
def test_every_figure_has_a_text_and_a_caption_for_every_kind_of_model(kind):
    facts = FACTS[kind]
    for place in (EXAMPLES, ACTIONS, FILTERS, TRAINING):
        for figure in figures_of(place, CARD, range(1)):
            alt, caption = figure.alt(facts), figure.caption(facts)
            assert len(alt) > 30, figure.name
            assert alt.endswith("."), figure.name
            assert caption.endswith("."), figure.name
            assert "  " not in alt + caption


@pytest.mark.slow
def test_a_figure_that_is_added_is_drawn_and_shown(tmp_path, monkeypatch):
    new = CardFigure(
        "determinants",
        ACTIONS,
        lambda subject: Figure(),
        lambda facts: f"A figure of {facts.config.num_groups} groups.",
        lambda facts: markdown("Determinants of {}.", "a*"),
    )
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, new))
    paths = draw_figures(Actions(torch.eye(4)[None, None, None], 2), tmp_path)
    assert tmp_path / "figures" / "determinants.png" in paths
    assert shown_figures(tmp_path, FACTS["learned"], ACTIONS)[-1] == {
        "path": "figures/determinants.png",
        "alt": "A figure of 5 groups.",
        "caption": "Determinants of a\\*.",
    }


def test_only_figures_that_are_there_are_shown(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("codes.png", "filters-3.png", "filters-4.png", "](x).png"):
        (tmp_path / "figures" / name).write_bytes(b"")
    facts = FACTS["learned"]
    assert [figure["path"] for figure in shown_figures(tmp_path, facts, EXAMPLES)] == ["figures/codes.png"]
    assert shown_figures(tmp_path, facts, ACTIONS) == []
    assert [figure["path"] for figure in shown_figures(tmp_path, facts, FILTERS)] == ["figures/filters-3.png"]


def test_the_codes_are_numbered():
    codes = next(figure for figure in figures.FIGURES if figure.name == "codes")
    assert "The codes z₁ to z₁₂ of" in codes.caption(facts_with(num_layers=12))
    assert "The code z₁ of" in codes.caption(facts_with(num_layers=1))
    assert "group" not in codes.caption(facts_with(group_order=1))
