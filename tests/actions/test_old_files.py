"""Files of format 1 that another version wrote: with fewer scores, with more, and after a score was added.

`data/format-1` holds the actions of a network of two layers of two groups. Version 0.1.0 wrote them; then the score
`block_concentration` was taken out of the records and `self_similarity`, which no version knows, put in.
"""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from click.testing import CliRunner

from lgn_hf import cli, load_actions
from lgn_hf.actions import SCORES, Score, rank, score_of, strongest
from lgn_hf.hub.action_dataset import actions_dataset, load_actions_dataset
from lgn_hf.hub.cards import render_card
from tests.conftest import ROOT

OLD = Path(__file__).parent / "data" / "format-1"
PUBLISHED = sorted(path.parent.name for path in (ROOT / "model_cards").glob("*/actions.json"))


@pytest.fixture
def added(monkeypatch):
    """A score that no published file has."""
    score = Score(
        "novelty", lambda matrices: matrices.new_ones(matrices.shape[:-2]), 0.5, None, 0, None, "spectral", ""
    )
    monkeypatch.setitem(SCORES, "novelty", score)


def without(folder: Path, name: str) -> None:
    """Take a score out of every record of `actions.json`."""
    document = json.loads((folder / "actions.json").read_text())
    for record in document["actions"]:
        del record["scores"][name]
    (folder / "actions.json").write_text(json.dumps(document))


def test_an_old_file_loads_as_it_is(tmp_path):
    actions = load_actions(OLD)
    assert actions.matrices.shape == (2, 2, 1, 9, 9)
    assert [record["label"] for record in actions.diagnose()] == [None, "rotation by 90 degrees", None, None]
    scores = actions.diagnose()[0]["scores"]
    assert len(scores) == 8
    assert "self_similarity" in scores
    assert "block_concentration" not in scores
    actions.save(tmp_path)
    for path in OLD.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_score_that_is_absent_counts_as_nothing():
    records = load_actions(OLD).diagnose()
    for record in records:
        assert score_of(record, "block_concentration") == {"value": 0, "z": 0}
        assert score_of(record, "self_similarity")["value"] == 0.25
        assert strongest(record, ["block_concentration"]) == ("block_concentration", {"value": 0, "z": 0})
        assert strongest({**record, "scores": {}, "nearest": []}) == ("nearest", {"value": 0, "z": 0})
    assert min(records, key=rank)["label"] == "rotation by 90 degrees"


def test_the_table_has_every_score_known_or_in_the_file():
    rows = load_actions(OLD).table()
    assert {*rows[0]} == {*rows[1]} >= {*SCORES, "self_similarity", "self_similarity_z"}
    for row in rows:
        assert row["block_concentration"] is row["block_concentration_z"] is None
        assert row["self_similarity"] == 0.25
    assert [row["self_similarity_z"] for row in rows] == [1.5, None, 1.5, 1.5]


def test_records_may_differ_in_their_scores(tmp_path):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    document = json.loads((tmp_path / "actions.json").read_text())
    document["actions"][1]["scores"] = {}
    document["actions"][2]["scores"] = {"layer": {"value": 7, "z": 7.0}}  # named like another column
    (tmp_path / "actions.json").write_text(json.dumps(document))
    rows = load_actions(tmp_path).table()
    assert all({*row} == {*rows[0]} for row in rows)
    assert rows[1]["toeplitz"] is None
    assert [row["layer"] for row in rows] == [0, 0, 1, 1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_added_score_leaves_published_files_readable(name, added):
    actions = load_actions(ROOT / "model_cards" / name)
    assert score_of(actions.diagnose()[0], "novelty") == {"value": 0, "z": 0}
    assert all(row["novelty"] is None for row in actions.table())


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.slow
def test_the_commands_read_an_old_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "rotation by 90 degrees" in run("actions", OLD, "--output-dir", tmp_path)
    [table] = tmp_path.rglob("actions.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["block_concentration"], row["self_similarity"]) for row in rows] == [("", "0.25")] * 4
    assert list(tmp_path.rglob("gallery.png"))
    run("compare", OLD, OLD)


def test_the_atlas_shows_an_old_file(tmp_path):
    run("atlas", OLD, ROOT / "model_cards" / "lgn-mnist", "--output-dir", tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "self_similarity" in page
    assert "block_concentration" in page


def test_the_data_set_has_null_for_an_absent_score():
    actions = load_actions(OLD)
    source = cast(Any, SimpleNamespace(name="old", actions=actions, recipe={}, results={}, dataset=None, task=None))
    rows = actions_dataset([source])
    assert rows["block_concentration"][:] == rows["block_concentration_z"][:] == [None] * 4
    assert rows["toeplitz"][0] == actions.diagnose()[0]["scores"]["toeplitz"]["value"]
    assert torch.equal(load_actions_dataset(rows)["old"].matrices, actions.matrices)


@pytest.mark.parametrize("name", ["toeplitz", "skew_symmetry"])
def test_a_card_is_written_of_an_old_file(name, tmp_path):
    folder = Path(shutil.copytree(ROOT / "model_cards" / "lgn-mnist", tmp_path / "folder"))
    before = render_card(folder)
    without(folder, name)
    after = render_card(folder)
    gone = [line for line in before.splitlines() if line not in after.splitlines()]
    assert any(line.startswith(f"| {name.replace('_', ' ').replace('toeplitz', 'Toeplitz')} |") for line in gone)
