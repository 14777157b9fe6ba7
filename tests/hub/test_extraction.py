"""Actions as files, and which of them are the most structured."""

import copy
import csv
from pathlib import Path

import pytest

from lgn_hf import Actions
from lgn_hf.hub.extraction import extract, most_structured
from lgn_hf.model.filters import rotation_matrix
from lgn_hf.runs.trained_model import TrainedModel
from tests.support.networks import make_model

pytestmark = pytest.mark.usefixtures("blank_figures")


def source(name: str, network: str = "learned", actions: Actions | None = None) -> TrainedModel:
    return TrainedModel(name, actions or make_model(network).actions(), {}, Path(name))


@pytest.fixture(scope="module")
def planted() -> TrainedModel:
    """Learned actions, and among them a quarter turn."""
    actions = make_model("learned").actions()
    actions.matrices[1, 0, 0] = rotation_matrix(3, 90)
    return source("user/planted", actions=actions)


def read_table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "actions.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_files_are_the_actions_their_table_and_figures(planted, tmp_path):
    paths = extract(planted, tmp_path / "planted")
    assert {path.name for path in paths} >= {"actions.safetensors", "actions.json", "actions.csv", "gallery.png"}
    assert all(path.is_file() for path in paths)
    found, expected = read_table(tmp_path / "planted"), planted.actions.table()
    assert [float(row["toeplitz_z"]) for row in found] == [row["toeplitz_z"] for row in expected]
    assert [row["label"] or None for row in found] == [row["label"] for row in expected]


@pytest.mark.slow
def test_scores_that_only_some_actions_have_are_empty_cells(tmp_path):
    actions = make_model("learned").actions()
    actions._records = copy.deepcopy(actions.diagnose())
    del actions._records[0]["scores"]["toeplitz"]
    actions._records[1]["scores"]["newer_score"] = {"value": 0.5, "z": 1.5}
    extract(source("mixed", actions=actions), tmp_path)
    found = read_table(tmp_path)
    assert [bool(row["toeplitz"]) for row in found[:3]] == [False, True, True]
    assert [row["newer_score_z"] for row in found[:3]] == ["", "1.5", ""]


def test_the_most_structured_come_first(planted):
    bare = source("shared", "learned-shared")
    best = most_structured([planted, bare], 2)
    assert best[0]["label"] == "rotation by 90 degrees"
    assert (best[0]["model"], best[0]["layer"], best[0]["group"]) == ("user/planted", 1, 0)
    assert len(best) == 2
    unlabelled = [row["z"] for row in most_structured([planted, bare], 1000) if row["label"] is None]
    assert unlabelled == sorted(unlabelled, reverse=True)


def test_a_shared_action_is_told_once():
    best = most_structured([source("layers", "learned-layer"), source("rotating", "rotation-90")], 1000)
    assert sorted((row["model"], row["layer"]) for row in best) == [("layers", 0), ("layers", 1), ("rotating", 0)]
