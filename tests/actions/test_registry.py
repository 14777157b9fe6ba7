"""The registry of scores: a new diagnostic needs one registration, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lgn_hf.actions import SCORES, THRESHOLDS, Actions, Score, diagnose, register_score, score_title, scores, strongest

MASK = torch.rand(9, 9, generator=torch.Generator().manual_seed(0)) < 0.5


def made_up(matrices: Tensor) -> Tensor:
    """The share of energy of half of the entries."""
    energy = matrices.double().square()
    return (energy * MASK).sum((-1, -2)) / energy.sum((-1, -2))


@pytest.fixture
def added() -> Iterator[Score]:
    """One more score, for the length of a test."""
    before = dict(SCORES)
    register_score(threshold=0.75, label="made up", precedence=0, title="energy of half of the entries")(made_up)
    yield SCORES["made_up"]
    SCORES.clear()
    SCORES.update(before)


def planted() -> Tensor:
    return torch.randn(9, 9, dtype=torch.float64) * MASK


def test_scores_come_in_the_order_of_published_files():
    published = ["skew_symmetry", "toeplitz", "block_toeplitz", "circulant", "multi_scale", "block_concentration"]
    published += ["orthogonality", "cyclicity"]
    assert [name for name in SCORES if name in published] == published


def test_every_label_has_a_threshold():
    assert set(THRESHOLDS) == {"nearest", *SCORES}
    assert all(THRESHOLDS[name] == score.threshold for name, score in SCORES.items())


def test_a_registered_score_is_diagnosed_and_names_actions(added):
    matrices = torch.stack([planted(), torch.randn(9, 9, dtype=torch.float64)])
    assert scores(matrices)["made_up"][0] == pytest.approx(1)
    structured, random = diagnose(matrices, 3)
    assert structured["label"] == "made up"
    assert structured["scores"]["made_up"]["z"] > 5
    assert strongest(structured)[0] == "made_up"
    assert random["label"] is None
    assert abs(random["scores"]["made_up"]["z"]) < 5
    assert score_title("made_up") == "energy of half of the entries"


def test_a_registered_score_has_its_columns_in_the_table(added):
    [row] = Actions(planted().view(1, 1, 1, 9, 9), 4).table()
    assert row["made_up"] == pytest.approx(1)
    assert row["made_up_z"] > 5


@pytest.mark.parametrize("change", [{"threshold": 1.0}, {"label": None}, {"label": lambda record: None}])
def test_a_label_needs_the_threshold_and_the_words(added, change):
    SCORES["made_up"] = replace(added, **change)
    assert diagnose(planted()[None], 3)[0]["label"] is None


@pytest.mark.parametrize(("general", "label"), [(0.5, "made up"), (1.06, None)])
def test_a_special_case_names_an_action_only_if_it_explains_most_of_the_general_one(added, general, label):
    SCORES["general"] = replace(added, function=lambda m: m.new_full(m.shape[:-2], general), label=None)
    SCORES["made_up"] = replace(added, special_case_of="general")
    assert diagnose(planted()[None], 3)[0]["label"] == label


@pytest.mark.parametrize("name", ["toeplitz", "nearest"])
def test_a_name_is_registered_once(name):
    def function(matrices: Tensor) -> Tensor:
        return matrices

    function.__name__ = name
    before = dict(SCORES)
    with pytest.raises(ValueError, match=f"'{name}' is registered already"):
        register_score()(function)
    assert before == SCORES


@pytest.mark.parametrize(
    ("name", "title"),
    [("block_toeplitz", "block Toeplitz"), ("multi_scale", "multi-scale"), ("skew_symmetry", "skew symmetry")],
)
def test_titles(name, title):
    assert score_title(name) == title
