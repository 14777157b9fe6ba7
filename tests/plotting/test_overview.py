"""The figures and the row of numbers of a model, also where its records have fewer or unknown scores."""

import copy

import pytest
import torch

from lgn_hf import Actions
from lgn_hf.plotting import STRUCTURES, action_figures, action_summary
from tests.support.figures import images, texts


@pytest.fixture
def actions() -> Actions:
    """Six actions on 3 x 3 filters, more than there are structures."""
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(2, 3, 1, 9, 9, generator=generator)
    return Actions(matrices, 3, basis=torch.randn(2, 3, 1, 3, 3, generator=generator))


def with_scores(actions: Actions, change) -> Actions:
    """The actions as if their file had other scores: `change` is applied to those of every record."""
    actions._records = copy.deepcopy(actions.diagnose())
    for record in actions._records:
        change(record["scores"])
    return actions


@pytest.mark.slow
def test_the_gallery_has_all_actions_and_the_orbits_one_per_structure(actions):
    figures = action_figures(actions)
    assert [*figures] == ["gallery", "spectra", "effects", "orbits"]
    assert len(images(figures["gallery"])) == 6
    assert len(images(figures["orbits"])) == len(STRUCTURES) * 2 * actions.order


@pytest.mark.slow
def test_a_smaller_gallery_shows_what_is_furthest_above_chance(actions):
    assert len(images(action_figures(actions, 2)["gallery"])) == 2


def test_few_actions_are_all_shown_under_their_own_names(actions):
    shown = texts(action_figures(actions[:1])["effects"])
    assert {f"layer 0, group {k}, channel 0" for k in range(3)} <= {text.replace("\n", " ") for text in shown}


def test_there_are_no_orbits_without_basis_filters(actions):
    assert "orbits" not in action_figures(Actions(actions.matrices, 3))


def test_the_summary_has_one_median_per_structure(actions):
    row = action_summary(actions)
    assert row["actions"] == 6
    assert all(isinstance(row[f"{name.replace('_', ' ')} z"], float) for name in STRUCTURES)


@pytest.mark.slow
def test_a_score_that_the_records_lack_is_left_out(actions):
    actions = with_scores(actions, lambda scores: scores.pop("toeplitz"))
    assert len(images(action_figures(actions)["effects"])) > 0
    assert action_summary(actions)["toeplitz z"] is None


@pytest.mark.slow
def test_a_score_that_this_version_does_not_know_is_drawn_by_its_name(actions):
    actions = with_scores(actions, lambda scores: scores.update(newer_score={"value": 0.9, "z": 1e3}))
    gallery = texts(action_figures(actions)["gallery"])
    assert sum("newer score" in text for text in gallery) == 6
