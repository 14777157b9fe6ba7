"""The zoo is a queue that can be stopped anywhere."""

import json
from pathlib import Path

import pytest
import yaml
from lgn_training.zoo import __main__ as program
from lgn_training.zoo import records
from lgn_training.zoo.__main__ import main

from lgn_hf.hub.examples import find_examples
from lgn_hf.hub.publication import is_built
from tests.training.zoo.complete_runs import EMPTY_PAGE, read_table, save_run

TINY = {"num_groups": 2, "num_layers": 1, "filter_size": 3, "max_train_samples": 200}


@pytest.fixture
def queue(tmp_path) -> Path:
    path = tmp_path / "zoo.yaml"
    free = {**TINY, "group_order": 1, "num_groups": 8}
    entries = [
        {"recipe": "lgn-digits", "epochs": 1, "seeds": [0], "options": free, "publish": False},
        {"recipe": "lgn-digits-reconstruction", "epochs": 1, "seeds": [3], "options": TINY},
    ]
    path.write_text(yaml.safe_dump(entries))
    return path


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"recipe": "lgn-mnst", "epochs": 1, "seeds": [0]}, "there is no recipe lgn-mnst"),
        ({"recipe": "lgn-mnist", "epochs": 1, "seeds": [0], "baseline": "x"}, "there is no model x to be a baseline"),
        ({"recipe": "lgn-mnist", "seeds": [0]}, "lacks .'epochs'."),
        ({"recipe": "lgn-mnist", "epochs": 1, "seeds": [0], "epoch": 3}, "unknown fields .'epoch'."),
    ],
)
def test_a_wrong_entry_is_one_line(tmp_path, capfd, entry, message):
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump([entry]))
    assert main(["--queue", str(tmp_path / "zoo.yaml"), "--list"]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(lines[0])


def test_one_run_of_a_model_can_be_chosen(queue, capfd):
    assert main(["--queue", str(queue), "--list", "--only", "lgn-digits-reconstruction-3"]) == 0
    assert "0 of 1 done" in capfd.readouterr().out
    assert main(["--queue", str(queue), "--list", "--only", "lgn-digits", "lgn-digits-7"]) == 1
    assert f"--only lgn-digits-7: {queue} has no such model" in capfd.readouterr().err


def test_what_is_recorded_is_done_where_its_folder_is_gone(queue, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(program, "train", lambda command: pytest.fail(f"{command} was run"))
    cards = tmp_path / "cards"
    run = save_run(cards, "lgn-digits", epochs=1)
    results = records.read_results(run)
    results["recipe"] |= {"whitening": "none", "max_train_samples": TINY["max_train_samples"]}
    results["data"]["source"] = "digits"
    (run / "all_results.json").write_text(json.dumps(results))
    records.record(run, cards / "results.csv")
    own = ["--queue", str(queue), "--runs", str(tmp_path / "runs"), "--cards", str(cards), "--only", "lgn-digits"]
    assert main(own) == 0
    assert "1 of 1 done" in capfd.readouterr().out
    for other in (["--cards", str(tmp_path)], ["--only", "lgn-digits-reconstruction"]):
        assert main([*own, "--list", *other]) == 0
        assert "0 of 1 done" in capfd.readouterr().out


@pytest.mark.slow
def test_runs_are_trained_recorded_and_built_once(queue, tmp_path, capfd):
    options = ["--queue", str(queue), "--runs", str(tmp_path / "runs"), "--cards", str(tmp_path / "cards")]
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "README.md").write_text(EMPTY_PAGE)
    assert main(options) == 0
    assert "2 of 2 done" in capfd.readouterr().out
    rows = read_table(tmp_path / "cards")
    assert [(row["model"], row["seed"]) for row in rows] == [("lgn-digits", "0"), ("lgn-digits-reconstruction", "3")]
    page = (tmp_path / "cards" / "README.md").read_text()
    assert "| `lgn-digits` | none | float32 | 1 | 1 |" in page
    assert "| [`lgn-digits-reconstruction`](lgn-digits-reconstruction/README.md) | none | float32 | 1 | 1 |" in page
    assert float(rows[0]["test_accuracy"]) == records.read_results(tmp_path / "runs" / "lgn-digits-0")["test_accuracy"]
    assert rows[0]["parameters"] == rows[0]["parameters_of_free_filters"]
    card = tmp_path / "cards" / "lgn-digits-reconstruction"
    assert is_built(card)
    assert len(find_examples(card)) == 8
    assert "](figures/reconstructions.png)" in (card / "README.md").read_text()
    assert not (tmp_path / "cards" / "lgn-digits").exists()

    before = (tmp_path / "runs" / "lgn-digits-0" / "all_results.json").stat()
    (tmp_path / "cards" / "results.csv").unlink()  # as if it had been stopped before it recorded
    assert main(options) == 0
    assert (tmp_path / "runs" / "lgn-digits-0" / "all_results.json").stat() == before
    records.record(tmp_path / "runs" / "lgn-digits-0", tmp_path / "cards" / "results.csv")
    assert read_table(tmp_path / "cards") == rows
