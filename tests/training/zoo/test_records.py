"""One row per run, whoever records it and when."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lgn_training.zoo import records, tables, update_tables

from tests.training.zoo.complete_runs import EMPTY_PAGE, read_table, save_run


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

    parameters = read_table(tmp_path)[0]["parameters_of_free_filters"]
    cells = f"`dense-r60-mnist` | zca | float32 | 30 | 2 | 30,000 | {int(parameters):,}"
    assert tables.render(read_table(tmp_path)).splitlines()[2:4] == [
        f"| mnist | {cells} | 97.00 % (97.00 to 97.00) | 97.73 % |",
        f"| mnist, tested on rotated mnist | {cells} | 37.00 % (36.00 to 38.00) | 37.4 % |",
    ]
    assert "tested on" not in tables.render(read_table(tmp_path)[2:])


def test_a_run_can_be_recorded_under_another_name_than_its_recipe_s(tmp_path):
    run, path = save_run(tmp_path / "a", "lgn-mnist"), tmp_path / "results.csv"
    assert update_tables.main([str(run), "--records", str(path), "--model", "free-mnist"]) == 0
    assert [row["model"] for row in read_table(tmp_path)] == ["free-mnist"]


def test_a_file_of_something_else_is_no_file_of_records(tmp_path, capsys):
    run, path = save_run(tmp_path / "a", "lgn-mnist"), tmp_path / "README.md"
    path.write_text("mine\n")
    assert update_tables.main([str(run), "--records", str(path)]) == 1
    assert "README.md holds something else than records of runs" in capsys.readouterr().err
    assert path.read_text() == "mine\n"


def test_runs_recorded_at_once_are_all_recorded(tmp_path, monkeypatch):
    """Each in the file and in the page, however long another holds the file that it has read."""

    def read(path: Path, read=records.read) -> list[dict[str, str]]:
        rows = read(path)
        time.sleep(0.02)
        return rows

    def finish(run: Path) -> None:
        records.record(run, path)
        tables.update(path)

    monkeypatch.setattr(records, "read", read)
    monkeypatch.setattr(tables, "read", read)
    path, page = tmp_path / "results.csv", tmp_path / "README.md"
    page.write_text(EMPTY_PAGE)
    runs = [save_run(tmp_path / str(i), f"lgn-{i}") for i in range(8)]
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(finish, runs))
    assert [row["model"] for row in read_table(tmp_path)] == [f"lgn-{i}" for i in range(8)]
    assert [line.split("`")[1] for line in page.read_text().splitlines() if "`" in line] == [
        f"lgn-{i}" for i in range(8)
    ]


def test_runs_in_two_precisions_are_two(tmp_path):
    run, path = save_run(tmp_path / "a", "lgn-mnist"), tmp_path / "results.csv"
    records.record(run, path)
    machine = {"mixed_precision": "bf16", "processor": "CPU", "threads_per_process": 1}
    records.record(save_run(tmp_path / "a", "lgn-mnist", machine=machine), path)
    records.record(run, path)
    assert [row["mixed_precision"] for row in read_table(tmp_path)] == ["bf16", "no"]
    assert [line.split(" | ")[3] for line in tables.render(read_table(tmp_path)).splitlines()[2:]] == [
        "bfloat16",
        "float32",
    ]
