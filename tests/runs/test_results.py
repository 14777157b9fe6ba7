"""Results are read strictly, whatever version wrote them, and written as they were."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lgn_hf.runs.results import DataRecord, RunResults
from tests.conftest import ROOT

FILES = sorted((ROOT / "model_cards").glob("*/*_results.json"))


@pytest.fixture
def values() -> dict[str, Any]:
    return json.loads((ROOT / "model_cards" / "lgn-cifar10" / "all_results.json").read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_results_are_written_as_they_were_read(path):
    text = path.read_text()
    assert json.dumps(RunResults.from_json(json.loads(text)).to_json(), indent=2) + "\n" == text


def test_fields_have_names_and_types(values):
    results = RunResults.from_json(values)
    assert results.test("accuracy") == results.metrics["test_accuracy"] == values["test_accuracy"]
    assert results.metrics["train_loss"] == values["train_loss"]
    assert "train_seconds" not in results.metrics
    assert results.task.name == "classification"
    assert results.recipe.lr_milestones == [0.5, 0.75, 0.875]
    assert (results.machine.precision, results.machine.accelerator) == ("bfloat16", "NVIDIA H100 80GB HBM3")


def test_new_results_are_written_in_the_order_of_old_ones(values):
    results = RunResults.from_json(values)
    fields = {name: getattr(results, name) for name in RunResults.__dataclass_fields__ if name != "kept"}
    written = RunResults(**fields).to_json()
    assert written == values
    assert [*written][:3] == ["test_accuracy", "test_loss", "also_tested_on"]


def test_classes_are_read_and_may_be_missing(values):
    assert RunResults.from_json(values).test_confusion_matrix is None
    values |= {
        "label_names": ["a", "b"],
        "test_confusion_matrix": [[2, 1], [0, 0]],
        "test_class_accuracy": [2 / 3, None],
    }
    results = RunResults.from_json(values)
    assert results.test_confusion_matrix == [[2, 1], [0, 0]]
    assert results.to_json() == values
    values["test_confusion_matrix"] = [["x"]]
    with pytest.raises(ValueError, match=r"test_confusion_matrix\[0\]\[0\] is 'x': must be int"):
        RunResults.from_json(values)


def test_unknown_fields_are_kept(values):
    values["a_field_of_tomorrow"] = {"x": [1]}
    values["recipe"]["another"] = 3
    assert RunResults.from_json(values).to_json() == values


def test_older_results_lack_fields(values):
    for name in ("also_tested_on", "commit", "history"):
        del values[name]
    for name in ("platform", "python", "threads_per_process", "accelerator"):
        del values["machine"][name]
    del values["recipe"]["algorithm"]
    assert RunResults.from_json(values).to_json()["machine"] == values["machine"]


def test_what_is_none_by_default_is_not_written():
    data = DataRecord(source="digits", fingerprint="0", train=1, validation=2, test=3)
    assert "note" not in data.to_json()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("parameters", "12", "all_results.json.parameters is '12': must be int"),
        ("parameters", True, "all_results.json.parameters is True: must be int"),
        ("epochs", "x", "all_results.json.epochs is 'x': must be int | float"),
        ("data.train", None, "all_results.json.data.train is None: must be int"),
        ("machine", [], "all_results.json.machine is []: must be dict"),
        ("versions.torch", 2, "all_results.json.versions.torch is 2: must be str"),
        ("recipe.lr_milestones", [0.5, "x"], "all_results.json.recipe.lr_milestones[1] is 'x': must be int | float"),
        ("recipe.task", "sorting", "all_results.json.recipe.task is 'sorting': must be one of classification,"),
        (
            "test_accuracy",
            "1",
            "all_results.json.test_accuracy is '1': must be a number, the metric of classification",
        ),
        ("test_accuracy", float("nan"), "all_results.json.test_accuracy is nan: must be a number"),
        ("history", [3], "all_results.json.history[0] is 3: must be dict"),
    ],
)
def test_a_wrong_field_is_named(values, path, value, message):
    *parents, last = path.split(".")
    where = values
    for parent in parents:
        where = where[parent]
    where[last] = value
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        RunResults.from_json(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("seed", "all_results.json lacks seed"),
        ("data.source", "all_results.json.data lacks source"),
        ("test_accuracy", "all_results.json.test_accuracy is None"),
    ],
)
def test_a_missing_field_is_named(values, path, message):
    *parents, last = path.split(".")
    del (values[parents[0]] if parents else values)[last]
    with pytest.raises(ValueError, match=re.escape(message)):
        RunResults.from_json(values)


@pytest.mark.parametrize("value", [None, [], "x"])
def test_results_are_one_object(value):
    with pytest.raises(ValueError, match=r"baseline_results\.json is .*: must be dict"):
        RunResults.from_json(value, "baseline_results.json")
