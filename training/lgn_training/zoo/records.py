"""`model_cards/results.csv`: one row per run."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from filelock import FileLock

from lgn_hf.files import write_whole
from lgn_hf.runs.dataset_name import data_name
from lgn_hf.runs.family import read_config
from lgn_hf.runs.group_origin import group_origin
from lgn_training.engine.output_folder import RESULTS_FILE

RECORDS = "results.csv"
COLUMNS: tuple[str, ...] = (
    "model", "dataset", "task", "seed", "epochs", "whitening", "action", "regularizer", "projection", "mixed_precision",
    "model_type", "group", "group_name", "group_size", "group_origin", "max_train_samples",
    "test_accuracy", "test_relative_error", "validation_accuracy", "best_epoch",
    "parameters", "parameters_trained", "parameters_of_free_filters",
    "train", "validation", "test", "fingerprint", "train_seconds", "images_per_second", "machine", "torch", "commit", "date",
)  # fmt: skip
ON = "_on_"  # in the columns that a further test adds: `test_accuracy_on_rotated:mnist`
KEY: tuple[str, ...] = ("model", "dataset", "seed", "epochs", "whitening", "mixed_precision", "max_train_samples")

Row = dict[str, Any]
Key = tuple[str, ...]


def read_results(run: Path) -> Row:
    return json.loads((run / RESULTS_FILE).read_text())


def row_of(results: Row, config: Any, model: str) -> Row:
    """The row of a run, from its results.

    group, group_name, group_size, group_origin: of a network over one group, the field of its recipe, the name and order of
    its group, and how the group came about (`ORIGINS`). max_train_samples: empty if all images were trained on.
    parameters: of the model. parameters_trained: with the candidate inverses that the inverse regularizer trains.
    parameters_of_free_filters: of the network with its orbits written out as free filters. test_accuracy_on_X, test_on_X,
    fingerprint_on_X: on the test images of X.
    """
    recipe, data, machine = results["recipe"], results["data"], results["machine"]
    threads = f"{machine['threads_per_process']} threads"
    further = {}
    for source, found in results.get("also_tested_on", {}).items():
        on = ON + short_name(source)
        further |= {
            f"test_{metric}{on}": found[metric] for metric in ("accuracy", "relative_error") if metric in found
        }
        further |= {f"test{on}": found["images"], f"fingerprint{on}": found["fingerprint"]}
    return {
        "model": model,
        "dataset": short_name(data["source"]),
        **{name: recipe[name] for name in ("task", "seed", "whitening", "action")},
        **{name: recipe.get(name) for name in ("regularizer", "projection", "max_train_samples")},
        "model_type": config.model_type,
        **_group_columns(results, config),
        **{name: results.get(name) for name in ("epochs", "best_epoch", "parameters", "images_per_second", "date")},
        **{name: results.get(name) for name in COLUMNS if name.startswith(("test_", "validation_", "train_"))},
        **{name: data[name] for name in ("train", "validation", "test", "fingerprint")},
        "parameters_trained": results["parameters"] + _parameters_of_inverses(config),
        "parameters_of_free_filters": results["parameters"]
        - config.num_action_parameters
        + config.num_basis_parameters * (_group_size(config) - 1),
        "mixed_precision": machine["mixed_precision"],
        "machine": ", ".join(name for name in (machine.get("accelerator"), machine["processor"], threads) if name),
        "torch": results["versions"]["torch"],
        "commit": results.get("commit"),
        **further,
    }


def _group_size(config: Any) -> int:
    """Filters of an orbit."""
    return config.group_order if config.model_type == "lgn" else config.linear_group.order


def _group_columns(results: Row, config: Any) -> Row:
    """What tells networks over different groups apart; nothing for the networks of the papers."""
    if config.model_type == "lgn":
        return {}
    group, recipe = config.linear_group, results["recipe"]
    origin = group_origin(config, recipe, results.get("group_source"))
    return {"group": config.group, "group_name": group.name, "group_size": group.order, "group_origin": origin}


def _parameters_of_inverses(config: Any) -> int:
    """Parameters that are in training only."""
    if config.model_type != "lgn" or config.regularizer != "inverse" or not config.num_action_parameters:
        return 0
    return math.prod(config.action_shape) * config.filter_dim**2


def short_name(source: str) -> str:
    """A data set's name without its user or folder: `rotated:mnist` for `rotated:../data/mnist`."""
    name = data_name(source)
    return name.kind + name.last


def locked(path: Path) -> FileLock:
    """A lock that keeps other processes from the file, and from the pages with its tables."""
    return FileLock(path.with_name(f".{path.name}.lock"))


def read(path: Path) -> list[dict[str, str]]:
    """The rows of the file; none if it does not exist.

    Raises:
        ValueError: it holds something else.
    """
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames and not {"model", "dataset", "seed"} <= {*reader.fieldnames}:
            raise ValueError(f"{path} holds something else than records of runs: choose another file")
        return list(reader)


def read_by_key(path: Path) -> dict[Key, dict[str, str]]:
    """The rows by their values of the columns KEY."""
    return {tuple(row.get(name) or "" for name in KEY): row for row in read(path)}


def record(run: Path, path: Path, *, model: str | None = None) -> None:
    """Add the run of a folder to the file, or replace its row. Rows of other runs stay as they are."""
    found = read_results(run)
    new: Row = row_of(found, read_config(run), model or found["recipe_name"])
    new = {name: "" if value is None else str(value) for name, value in new.items()}
    with locked(path):
        rows = read_by_key(path)
        rows[tuple(new[name] for name in KEY)] = new  # an older file has fewer columns
        further = sorted({name for row in rows.values() for name in row} - {*COLUMNS})
        text = io.StringIO()
        writer = csv.DictWriter(text, (*COLUMNS, *further), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
        write_whole(path, text.getvalue())
