"""`model_cards/results.csv`: one row per run."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from filelock import FileLock

from lgn_hf import LGNConfig
from lgn_hf.files import write_whole
from lgn_hf.runs.dataset_name import data_name
from lgn_training.engine.output_folder import RESULTS_FILE

RECORDS = "results.csv"
COLUMNS: tuple[str, ...] = (
    "model", "dataset", "task", "seed", "epochs", "whitening", "action", "regularizer", "projection", "mixed_precision",
    "test_accuracy", "test_relative_error", "validation_accuracy", "best_epoch",
    "parameters", "parameters_trained", "parameters_of_free_filters",
    "train", "validation", "test", "fingerprint", "train_seconds", "images_per_second", "machine", "torch", "commit", "date",
)  # fmt: skip
ON = "_on_"  # in the columns that a further test adds: `test_accuracy_on_rotated:mnist`
KEY: tuple[str, ...] = ("model", "dataset", "seed", "epochs", "whitening", "mixed_precision")

Row = dict[str, Any]
Key = tuple[str, ...]


def read_results(run: Path) -> Row:
    return json.loads((run / RESULTS_FILE).read_text())


def row_of(results: Row, config: LGNConfig, model: str) -> Row:
    """The row of a run, from its results.

    parameters: of the model. parameters_trained: with the candidate inverses that the inverse regularizer trains.
    parameters_of_free_filters: of the network with its orbits written out as free filters. test_accuracy_on_X, test_on_X,
    fingerprint_on_X: on the test images of X.
    """
    recipe, data, machine = results["recipe"], results["data"], results["machine"]
    threads = f"{machine['threads_per_process']} threads"
    has_inverses = config.regularizer == "inverse" and config.num_action_parameters
    inverses = math.prod(config.action_shape) * config.filter_dim**2 if has_inverses else 0  # in training only
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
        **{name: recipe[name] for name in ("task", "seed", "whitening", "action", "regularizer", "projection")},
        **{name: results.get(name) for name in ("epochs", "best_epoch", "parameters", "images_per_second", "date")},
        **{name: results.get(name) for name in COLUMNS if name.startswith(("test_", "validation_", "train_"))},
        **{name: data[name] for name in ("train", "validation", "test", "fingerprint")},
        "parameters_trained": results["parameters"] + inverses,
        "parameters_of_free_filters": results["parameters"]
        - config.num_action_parameters
        + config.num_basis_parameters * (config.group_order - 1),
        "mixed_precision": machine["mixed_precision"],
        "machine": ", ".join(name for name in (machine.get("accelerator"), machine["processor"], threads) if name),
        "torch": results["versions"]["torch"],
        "commit": results.get("commit"),
        **further,
    }


def short_name(source: str) -> str:
    """A data set's name without its user or folder: `rotated:mnist` for `rotated:../data/mnist`."""
    name = data_name(source)
    return name.kind + name.last


def locked(path: Path) -> FileLock:
    """A lock that keeps other processes from the file, and from the pages with its tables."""
    return FileLock(path.with_name(f".{path.name}.lock"))


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_by_key(path: Path) -> dict[Key, dict[str, str]]:
    """The rows by their values of the columns KEY."""
    return {tuple(row[name] for name in KEY): row for row in read(path)}


def record(run: Path, path: Path, *, model: str | None = None) -> None:
    """Add the run of a folder to the file, or replace its row. Rows of other runs stay as they are."""
    found = read_results(run)
    new: Row = row_of(found, LGNConfig.from_pretrained(run), model or found["recipe_name"])
    new = {name: "" if value is None else str(value) for name, value in new.items()}
    with locked(path):
        rows = read_by_key(path)
        rows[tuple(new[name] for name in KEY)] = new
        further = sorted({name for row in rows.values() for name in row} - {*COLUMNS})
        text = io.StringIO()
        writer = csv.DictWriter(text, (*COLUMNS, *further), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
        write_whole(path, text.getvalue())
