"""The zoo trains, records and publishes networks over a group, and its records tell them apart."""

import csv
import json

import pytest
import yaml
from lgn_training.zoo import __main__ as program
from lgn_training.zoo import records, tables
from lgn_training.zoo.queue import read_queue

from lgn_hf import Actions, LGNConvNetConfig
from lgn_hf.hub.folder import is_model_folder
from lgn_hf.nn import LinearGroup
from tests.support.convnets import train_convnet
from tests.training.zoo.complete_runs import read_table, save_run

ARMS = {  # name: fields of the recipe
    "c4": {"group": "rotation"},
    "d4": {"group": "dihedral"},
    "free": {"group": "trivial", "num_orbits": [8, 12]},
    "learned": {"action": "learned"},
    "random": {"group": LinearGroup.cyclic(4, 9), "group_source": "random cyclic"},
    "discovered": {"group": LinearGroup.rotations(3), "group_source": "symmetries of mnist"},
    "snapped": {"group": LinearGroup.rotations(3), "group_source": "symmetries of mnist", "snap_group": True},
}


def save_arm(folder, name, **recipe):
    """A complete run of one of ARMS, as far as it is recorded."""
    source = recipe.pop("group_source", None)
    run = save_run(folder, f"convnet-mnist-{name}", group_source=source)
    network = {key: value for key, value in recipe.items() if key not in ("snap_group", "max_train_samples")}
    config = LGNConvNetConfig(image_size=8, **{"num_orbits": [2, 3], "depths": [1, 1], **network})
    config.save_pretrained(run)
    results = records.read_results(run)
    results["recipe"] = {
        **{key: value for key, value in results["recipe"].items() if key not in ("regularizer", "projection")},
        **{"model_type": "lgn_convnet", "action": config.action, "max_train_samples": None},
        **{key: value for key, value in recipe.items() if key not in network},
    }
    (run / "all_results.json").write_text(json.dumps(results))
    return run


def test_arms_are_told_apart(tmp_path):
    path = tmp_path / "results.csv"
    for name, recipe in ARMS.items():
        records.record(save_arm(tmp_path / name, name, **recipe), path)
    records.record(save_arm(tmp_path / "few", "c4", group="rotation", max_train_samples=100), path)
    records.record(save_run(tmp_path / "lgn", "lgn-mnist"), path)
    columns = ("group", "group_name", "group_size", "group_origin", "action", "max_train_samples")
    rows = {
        row["model"].removeprefix("convnet-mnist-"): tuple(row[c] for c in columns) for row in read_table(tmp_path)[1:]
    }
    assert rows == {
        "c4": ("rotation", "C_4", "4", "told", "fixed", "100"),  # after the one without a limit
        "d4": ("dihedral", "D_4", "8", "told", "fixed", ""),
        "discovered": ("given", "C_4", "4", "discovered", "fixed", ""),
        "free": ("trivial", "C_1", "1", "free", "fixed", ""),
        "learned": ("rotation", "C_4", "4", "learned", "learned", ""),
        "random": ("given", "C_4", "4", "given", "fixed", ""),
        "snapped": ("given", "C_4", "4", "snapped", "fixed", ""),
        "lgn-mnist": ("", "", "", "", "learned", ""),
    }
    assert {row["model_type"] for row in read_table(tmp_path)} == {"lgn", "lgn_convnet"}
    table = tables.render(read_table(tmp_path))
    assert "| mnist | `convnet-mnist-d4` (D₄, told) | zca |" in table
    assert "| mnist, 100 training images | `convnet-mnist-c4` (C₄, told) |" in table
    assert "`convnet-mnist-free` (free filters)" in table
    assert "| mnist | `lgn-mnist` | zca |" in table
    line = next(line for line in tables.headlines(read_table(tmp_path)).splitlines() if "over C₄, told" in line)
    assert "97.00 % (30 epochs)" in line  # not the mean with the run on fewer images


def test_parameters_of_free_filters_are_those_of_written_out_orbits(tmp_path):
    config = LGNConvNetConfig(num_orbits=[2, 3], depths=[1, 1], action="learned")
    run = save_arm(tmp_path / "run", "learned", **ARMS["learned"])
    row = records.row_of(records.read_results(run), config, "x")
    assert row["parameters_of_free_filters"] == 30000 - 81 + 3 * config.num_basis_parameters
    assert row["parameters_trained"] == 30000


def test_rows_of_an_older_file_stay(tmp_path):
    path = tmp_path / "results.csv"
    records.record(save_run(tmp_path / "a", "lgn-mnist"), path)
    new = ("model_type", "group", "group_name", "group_size", "group_origin", "max_train_samples")
    rows = [{key: value for key, value in row.items() if key not in new} for row in read_table(tmp_path)]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    records.record(save_arm(tmp_path / "b", "d4", **ARMS["d4"]), path)
    records.record(save_run(tmp_path / "a", "lgn-mnist"), path)  # replaces its row
    assert [row["model"] for row in read_table(tmp_path)] == ["convnet-mnist-d4", "lgn-mnist"]


@pytest.mark.slow
def test_a_queue_of_both_families_is_trained_recorded_and_published(tmp_path, capsys):
    found = Actions(LinearGroup.rotations(3).generators.float()[None, None], 4, name="symmetries of digits")
    found.save(tmp_path / "found")
    few = {"max_train_samples": 200, "num_orbits": [2], "depths": [1]}
    given = {"group": "given", "group_from": str(tmp_path / "found")}
    entries = [
        {
            "name": "convnet-digits-discovered",
            "recipe": "convnet-digits",
            "epochs": 1,
            "seeds": [0],
            "options": {**few, **given},
        },
        {"name": "convnet-digits-free", "recipe": "convnet-digits", "epochs": 1, "seeds": [0], "publish": False}
        | {"options": {**few, "group": "trivial", "num_orbits": [8]}},
    ]
    entries[0]["baseline"] = "convnet-digits-free"
    queue, cards = tmp_path / "zoo.yaml", tmp_path / "cards"
    queue.write_text(yaml.safe_dump(entries))
    options = ["--queue", str(queue), "--runs", str(tmp_path / "runs"), "--cards", str(cards)]
    cards.mkdir()
    assert program.main(options) == 0
    folder = cards / "convnet-digits-discovered"
    assert is_model_folder(folder)
    assert "| orbits per layer | 2 | 8 |" in (folder / "README.md").read_text()
    assert [row["group_origin"] for row in read_table(cards)] == ["discovered", "free"]
    done = {run.key for run in read_queue(queue, tmp_path / "runs")}
    assert done == records.read_by_key(cards / "results.csv").keys()
    assert tables.find_published(cards).keys() == {"convnet-digits-discovered"}


def test_a_learned_group_is_checkpointed(tmp_path):
    """It is a part of every layer, and safetensors saves no tensor under two names."""
    folder = train_convnet(tmp_path / "run", "--action", "learned", "--num_orbits", "1", "--depths", "1")
    assert [*folder.glob("checkpoint-*/model.safetensors")]
