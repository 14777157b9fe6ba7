"""The zoo is a queue that can be stopped anywhere, and its table says what its records say."""

import csv
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml
from lgn_training import records, zoo

from lgn_hf import LGNConfig, LGNImageProcessor
from lgn_hf.hub.examples import find_examples, save_examples
from lgn_hf.hub.publication import is_built
from tests.conftest import ROOT

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


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv") as file:
        return list(csv.DictReader(file))


def test_the_zoo_s_own_queue_has_recipes_that_exist():
    queue = zoo.read_queue(ROOT / "training" / "zoo.yaml", Path("runs"))
    assert len({run.folder for run in queue}) == len(queue)
    published = [(run.name, run.epochs) for run in queue if run.publish]
    assert len(set(published)) == len(published)


def test_of_a_model_s_runs_the_longest_that_is_done_is_published(tmp_path):
    short = zoo.Run("lgn-mnist", "lgn-mnist", 1, 0, tmp_path / "short", publish=True)
    long = zoo.Run("lgn-mnist", "lgn-mnist", 2, 0, tmp_path / "long", publish=True)
    other_seed = zoo.Run("lgn-mnist", "lgn-mnist", 3, 1, tmp_path / "other")
    queue = [short, long, other_seed]
    assert [zoo.is_published(run, queue) for run in queue] == [False, False, False]
    for folder in ("short", "other"):
        save_run(tmp_path / folder, "lgn-mnist")
    assert [zoo.is_published(run, queue) for run in queue] == [True, False, False]
    save_run(tmp_path / "long", "lgn-mnist")
    assert [zoo.is_published(run, queue) for run in queue] == [False, True, False]


def test_data_lie_in_a_folder_or_on_the_hub():
    assert zoo.local("rot-mnist:ylecun/mnist", Path("data")) == "rot-mnist:data/mnist"
    assert zoo.local("uoft-cs/cifar10", Path("data")) == "data/cifar10"
    assert zoo.local("uoft-cs/cifar10", None) == "uoft-cs/cifar10"
    assert zoo.local("digits", Path("data")) == "digits"


def test_so_do_the_data_that_a_network_is_tested_on_besides():
    queue = zoo.read_queue(ROOT / "training" / "zoo.yaml", Path("runs"))
    dense = next(run for run in queue if run.recipe == "dense-r60-mnist")
    command = dense.command(Path("data"))
    assert command[command.index("--also_test_on") + 1] == "rotated:data/mnist"
    other = next(run for run in queue if run.recipe == "r60-mnist")
    assert "--also_test_on" not in other.command(Path("data"))


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
    assert zoo.main(["--queue", str(tmp_path / "zoo.yaml"), "--list"]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(lines[0])


def test_one_run_of_a_model_can_be_chosen(queue, capfd):
    assert zoo.main(["--queue", str(queue), "--list", "--only", "lgn-digits-reconstruction-3"]) == 0
    assert "0 of 1 done" in capfd.readouterr().out
    assert zoo.main(["--queue", str(queue), "--list", "--only", "lgn-digits", "lgn-digits-7"]) == 1
    assert f"--only lgn-digits-7: {queue} has no such model" in capfd.readouterr().err


def test_what_is_recorded_is_done_where_its_folder_is_gone(queue, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(zoo, "train", lambda command: pytest.fail(f"{command} was run"))
    cards = tmp_path / "cards"
    run = save_run(cards, "lgn-digits", epochs=1)
    results = records.read_results(run)
    results["recipe"]["whitening"], results["data"]["source"] = "none", "digits"
    (run / "all_results.json").write_text(json.dumps(results))
    records.record(run, cards / "results.csv")
    own = ["--queue", str(queue), "--runs", str(tmp_path / "runs"), "--cards", str(cards), "--only", "lgn-digits"]
    assert zoo.main(own) == 0
    assert "1 of 1 done" in capfd.readouterr().out
    for other in (["--cards", str(tmp_path)], ["--only", "lgn-digits-reconstruction"]):
        assert zoo.main([*own, "--list", *other]) == 0
        assert "0 of 1 done" in capfd.readouterr().out


@pytest.mark.slow
def test_runs_are_trained_recorded_and_built_once(queue, tmp_path, capfd):
    options = ["--queue", str(queue), "--runs", str(tmp_path / "runs"), "--cards", str(tmp_path / "cards")]
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "README.md").write_text(f"# Zoo\n\n{records.BEGIN}\n{records.END}\n")
    assert zoo.main(options) == 0
    assert "2 of 2 done" in capfd.readouterr().out
    rows = table(tmp_path / "cards")
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
    assert zoo.main(options) == 0
    assert (tmp_path / "runs" / "lgn-digits-0" / "all_results.json").stat() == before
    records.record(tmp_path / "runs" / "lgn-digits-0", tmp_path / "cards" / "results.csv")
    assert table(tmp_path / "cards") == rows


def test_a_folder_is_built_for_a_new_run_and_for_a_new_baseline(tmp_path, monkeypatch):
    built = []

    def build(run, card, *, baseline, examples, **_):
        built.append(baseline)
        save_run(card, run.name, **records.read_results(run))
        save_examples(examples, LGNImageProcessor(), card)
        if baseline:
            (card / zoo.BASELINE_NAME).touch()

    monkeypatch.setattr(zoo, "build", build)
    monkeypatch.setattr(zoo, "is_built", lambda card: (card / "all_results.json").is_file())
    monkeypatch.setattr(zoo.Run, "examples", lambda run, data: [torch.zeros(1, 28, 28, dtype=torch.uint8)])
    run = zoo.Run("lgn-mnist", "lgn-mnist", 1, 0, tmp_path / "lgn-mnist-0", baseline="free-mnist", publish=True)
    free = zoo.Run("free-mnist", "free-mnist", 1, 0, tmp_path / "free-mnist-0")
    save_run(run.folder, "lgn-mnist", steps=2, train_seconds=1.0)
    for _ in range(2):
        zoo.finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None]
    save_run(run.folder, "lgn-mnist", steps=4, train_seconds=2.0)
    zoo.finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None, None]
    save_run(free.folder, "free-mnist")
    longer = dataclasses.replace(free, epochs=2)
    zoo.finish(longer, [longer, run], tmp_path / "cards", None)
    assert built == [None, None]
    for _ in range(2):
        zoo.finish(free, [free, run], tmp_path / "cards", None)
    assert built == [None, None, free.folder]
    (tmp_path / "cards" / "lgn-mnist" / "examples" / "1.png").unlink()
    zoo.finish(run, [free, run], tmp_path / "cards", None)
    assert built == [None, None, free.folder, free.folder]


def save_run(folder: Path, model: str, seed: int = 0, **results) -> Path:
    """A complete run, as far as it is recorded."""
    LGNConfig(image_size=8).save_pretrained(folder)
    recipe = {"task": "classification", "seed": seed, "action": "learned", "whitening": "zca"}
    found = {
        "recipe_name": model,
        "recipe": {**recipe, "regularizer": "inverse", "projection": "frobenius"},
        "data": {"source": "/data/mnist/", "train": 57000, "validation": 3000, "test": 10000, "fingerprint": "f"},
        "machine": {"mixed_precision": "no", "processor": "CPU", "threads_per_process": 1},
        "versions": {"torch": "2"},
        "parameters": 30000,
        "epochs": 30,
        "test_accuracy": 0.97,
        **results,
    }
    (folder / "all_results.json").write_text(json.dumps(found))
    return folder


@pytest.mark.parametrize("source", ["ylecun/mnist", "data/mnist", "/data/mnist/", "mnist"])
def test_the_same_data_from_the_hub_and_from_a_folder_are_one_data_set(source):
    assert records.short_name(source) == "mnist"
    assert records.short_name(f"rotated:{source}") == "rotated:mnist"


def test_a_further_test_adds_columns_and_leaves_the_rows_of_other_runs_as_they_are(tmp_path):
    path = tmp_path / "results.csv"
    records.record(save_run(tmp_path / "a", "lgn-mnist"), path)
    before = path.read_text().splitlines()
    assert before[0] == ",".join(records.COLUMNS)
    for seed, accuracy in enumerate((0.36, 0.38)):
        further = {"rotated:/data/mnist": {"accuracy": accuracy, "loss": 3.0, "images": 10000, "fingerprint": "e"}}
        run = save_run(tmp_path / "b", "dense-r60-mnist", seed, also_tested_on=further)
        records.record(run, path)
    header, *rows = path.read_text().splitlines()
    added = "fingerprint_on_rotated:mnist,test_accuracy_on_rotated:mnist,test_on_rotated:mnist"
    assert header == f"{before[0]},{added}"
    assert [row.endswith(end) for row, end in zip(rows, (",e,0.36,10000", ",e,0.38,10000"), strict=False)] == [
        True
    ] * 2
    assert rows[2] == f"{before[1]},,,"

    parameters = table(tmp_path)[0]["parameters_of_free_filters"]
    cells = f"`dense-r60-mnist` | zca | float32 | 30 | 2 | 30,000 | {int(parameters):,}"
    assert records.render(table(tmp_path)).splitlines()[2:4] == [
        f"| mnist | {cells} | 97.00 % (97.00 to 97.00) | 97.73 % |",
        f"| mnist, tested on rotated mnist | {cells} | 37.00 % (36.00 to 38.00) | 37.4 % |",
    ]
    assert "tested on" not in records.render(table(tmp_path)[2:])


def test_a_run_can_be_recorded_under_another_name_than_its_recipe_s(tmp_path):
    run, path = save_run(tmp_path / "a", "lgn-mnist"), tmp_path / "results.csv"
    assert records.main([str(run), "--records", str(path), "--model", "free-mnist"]) == 0
    assert [row["model"] for row in table(tmp_path)] == ["free-mnist"]


def test_runs_recorded_at_once_are_all_recorded(tmp_path, monkeypatch):
    """Each in the file and in the page, however long another holds the file that it has read."""

    def read(path: Path, read=records.read) -> list[dict[str, str]]:
        rows = read(path)
        time.sleep(0.02)
        return rows

    def finish(run: Path) -> None:
        records.record(run, path)
        records.update(path)

    monkeypatch.setattr(records, "read", read)
    path, page = tmp_path / "results.csv", tmp_path / "README.md"
    page.write_text(f"# Zoo\n\n{records.BEGIN}\n{records.END}\n")
    runs = [save_run(tmp_path / str(i), f"lgn-{i}") for i in range(8)]
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(finish, runs))
    assert [row["model"] for row in table(tmp_path)] == [f"lgn-{i}" for i in range(8)]
    assert [line.split("`")[1] for line in page.read_text().splitlines() if "`" in line] == [
        f"lgn-{i}" for i in range(8)
    ]


def test_runs_in_two_precisions_are_two(tmp_path):
    run, path = save_run(tmp_path / "a", "lgn-mnist"), tmp_path / "results.csv"
    records.record(run, path)
    machine = {"mixed_precision": "bf16", "processor": "CPU", "threads_per_process": 1}
    records.record(save_run(tmp_path / "a", "lgn-mnist", machine=machine), path)
    records.record(run, path)
    assert [row["mixed_precision"] for row in table(tmp_path)] == ["bf16", "no"]
    assert [line.split(" | ")[3] for line in records.render(table(tmp_path)).splitlines()[2:]] == [
        "bfloat16",
        "float32",
    ]


def test_the_table_has_means_and_ranges_over_seeds():
    row = dict.fromkeys(records.COLUMNS, "")
    row |= {"model": "r90-mnist", "dataset": "mnist", "task": "classification", "whitening": "zca", "epochs": "30"}
    row |= {"mixed_precision": "bf16", "parameters": "9370", "parameters_of_free_filters": "17050"}
    rows = [{**row, "seed": str(seed), "test_accuracy": str(value)} for seed, value in enumerate((0.99, 0.98))]
    last = records.render(rows).splitlines()[-1]
    assert (
        last
        == "| mnist | `r90-mnist` | zca | bfloat16 | 30 | 2 | 9,370 | 17,050 | 98.50 % (98.00 to 99.00) | 99.12 % |"
    )


def test_the_headlines_are_of_the_longest_trainings():
    row = dict.fromkeys(records.COLUMNS, "")
    row |= {"dataset": "mnist", "task": "classification", "whitening": "zca"}
    rows = [
        {**row, "model": model, "epochs": epochs, "seed": seed, "test_accuracy": accuracy}
        for model, epochs, seed, accuracy in (
            ("lgn-mnist", "12", "0", "0.5"),
            ("lgn-mnist", "100", "0", "0.97"),
            ("lgn-mnist", "100", "1", "0.98"),
            ("r90-rotmnist", "30", "0", "0.9"),
            ("other-mnist", "30", "0", "0.9"),
        )
    ]
    # lgn-mnist's folder is of a shorter training
    published = {"r90-rotmnist": records.key_of(rows[3]), "lgn-mnist": records.key_of(rows[0])}
    assert records.headlines(rows, published).splitlines()[2:] == [
        "| LGN: learned actions | 97.50 % (2 seeds, 100 epochs) |  |  |",
        "| rotations by multiples of 90 degrees |  | [90.00 %](model_cards/r90-rotmnist/README.md) (30 epochs; paper 86.62 %) |  |",
        "| the papers' best | 99.21 % | 86.62 % | 73.14 % |",
    ]


def test_of_runs_that_are_as_long_the_published_one_is_a_headline():
    row = dict.fromkeys(records.COLUMNS, "") | {"dataset": "mnist", "task": "classification", "epochs": "30"}
    rows = [
        {**row, "model": "lgn-mnist", "whitening": whitening, "seed": seed, "test_accuracy": accuracy}
        for whitening, seed, accuracy in (("zca", "0", "0.97"), ("zca", "1", "0.98"), ("patch", "0", "0.99"))
    ]
    published = {"lgn-mnist": records.key_of(rows[2])}
    assert "[99.00 %](model_cards/lgn-mnist/README.md) (30 epochs)" in records.headlines(rows, published)
    assert "97.50 % (2 seeds, 30 epochs)" in records.headlines(rows)
    others = {"cyclic-mnist": published["lgn-mnist"]}  # what is published has this whitening
    assert "| 99.00 % (30 epochs)" in records.headlines(rows, others)


def test_a_baseline_is_trained_alike(tmp_path):
    run = zoo.Run("lgn-mnist", "lgn-mnist", 30, 0, tmp_path, {"whitening": "patch"}, baseline="free-mnist")
    free = zoo.Run("free-mnist", "free-mnist", 30, 0, tmp_path, {"whitening": "patch"})
    assert zoo.is_baseline(free, run)
    for fields in ({"seed": 1}, {"epochs": 100}, {"options": {"whitening": "zca"}}, {"name": "free-mnist-plus"}):
        assert not zoo.is_baseline(dataclasses.replace(free, **fields), run)


@pytest.mark.parametrize(("name", "table"), records.PAGES.items(), ids=records.PAGES)
def test_the_pages_have_the_records_of_model_cards(name, table):
    """Else: `python training/records.py`."""
    cards = ROOT / "model_cards"
    page = (cards / name).read_text()
    rows = records.read(cards / records.RECORDS)
    assert page == records.insert(page, table(rows, records.find_published(cards)))


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="the page lacks"):
        records.insert("# page", "| table |")
