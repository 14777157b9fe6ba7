"""`model_cards/results.csv`, a row a run, and the tables that are rendered from it: of all runs in `model_cards/README.md`,
of the networks that are compared most in `docs/results.md`, and of a few of these in `README.md`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from lgn_hf import LGNConfig
from lgn_hf.files import write_whole
from lgn_hf.hub.cards import PRECISIONS
from lgn_hf.runs.sources import data_name
from lgn_training.output import RESULTS_FILE

RECORDS = "results.csv"
BEGIN, END = "<!-- results: python training/records.py -->", "<!-- /results -->"
COLUMNS: tuple[str, ...] = (
    "model", "dataset", "task", "seed", "epochs", "whitening", "action", "regularizer", "projection", "mixed_precision",
    "test_accuracy", "test_relative_error", "validation_accuracy", "best_epoch",
    "parameters", "parameters_trained", "parameters_of_free_filters",
    "train", "validation", "test", "fingerprint", "train_seconds", "images_per_second", "machine", "torch", "commit", "date",
)  # fmt: skip
ON = "_on_"  # in the columns that a further test adds: `test_accuracy_on_rotated:mnist`
PAPER = {  # "Learning unfolded networks with a cyclic group structure", tables 1 and 2
    "baseline-mnist": "99.21 %", "r90-mnist": "99.12 %", "r60-mnist": "98.77 %",
    "baseline-rotmnist": "85.48 %", "r90-rotmnist": "86.62 %", "r60-rotmnist": "80.07 %",
    "baseline-cifar10": "71.87 %", "r90-cifar10": "72.20 %", "r60-cifar10": "73.14 %",
    "dense-baseline-mnist": "97.75 %", "dense-r90-mnist": "98.04 %", "dense-r60-mnist": "97.73 %",
    "dense-baseline-mnist_on_rotated:mnist": "36.89 %", "dense-r90-mnist_on_rotated:mnist": "37.02 %",
    "dense-r60-mnist_on_rotated:mnist": "37.4 %",
    "lgn-cifar10": "about 65 %",  # from the authors' published code
}  # fmt: skip
NETWORKS = {  # model -> what it is, for the README
    "lgn-{}": "LGN: learned actions",
    "cyclic-{}": "the same, cyclic by construction",
    "free-{}": "free filters, as many",
    "r90-{}": "rotations by multiples of 90 degrees",
    "r60-{}": "rotations by multiples of 60 degrees",
    "baseline-{}": "free filters, as many as of R_90",
    "lgn-{}-plus": "**LGN plus**: one cyclic action for the whole network",
    "free-{}-plus": "the same with free filters, as many",
    "few-{}-plus": "the same with free filters, as many parameters",
}
FEW = ("lgn-{}", "free-{}", "r90-{}", "lgn-{}-plus", "free-{}-plus")  # of these, on the front page
DATA = {"mnist": "MNIST", "rotmnist": "rot-MNIST", "cifar10": "CIFAR-10"}
KEY: tuple[str, ...] = ("model", "dataset", "seed", "epochs", "whitening", "mixed_precision")

Row = dict[str, Any]
Key = tuple[str, ...]
NO_FOLDERS: Mapping[str, Key] = {}


def read_results(run: Path) -> Row:
    return json.loads((run / RESULTS_FILE).read_text())


def row_of(results: Row, config: LGNConfig, model: str) -> Row:
    """A row of the file from what a run wrote.

    parameters: of the model. parameters_trained: with the candidate inverses that the inverse regularizer trains.
    parameters_of_free_filters: once orbits are written out, which is what the network needs to run, and what one of
    free filters has. test_accuracy_on_X, test_on_X, fingerprint_on_X: the same as without _on_X, on the test images of X.
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
    """A data set's name without the user or the folder that has it: `rotated:mnist` of `rotated:../data/mnist`."""
    name = data_name(source)
    return name.kind + name.last


def locked(path: Path) -> FileLock:
    """Keeps other processes from reading and writing the file, or the page with its table, in between."""
    return FileLock(path.with_name(f".{path.name}.lock"))


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_by_key(path: Path) -> dict[Key, dict[str, str]]:
    """The rows, each by what it has in the columns KEY."""
    return {tuple(row[name] for name in KEY): row for row in read(path)}


def record(run: Path, path: Path, *, model: str | None = None) -> None:
    """Add the run of a folder to the file, or replace its row; rows of other runs stay as they are."""
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


def key_of(row: Row) -> Key:
    """What runs have in common that differ in their seed alone."""
    return tuple(str(row[name]) for name in ("dataset", "task", "model", "whitening", "mixed_precision", "epochs"))


def grouped(rows: list[dict[str, str]]) -> dict[Key, list[dict[str, str]]]:
    """Runs that differ in their seed alone."""
    groups: dict[Key, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[key_of(row)].append(row)
    return groups


def headlines(
    rows: list[dict[str, str]],
    published: Mapping[str, Key] = NO_FOLDERS,
    *,
    networks: Collection[str] = NETWORKS,
    cards: str = "model_cards",
) -> str:
    """The table of NETWORKS: mean test accuracy over seeds of the longest training, of several such of the one that is
    published, else of one with a whitening that published models have, beside the papers' numbers, with links to them.

    Args:
        networks: those of NETWORKS to show, by their accuracy alone. The table of all has also seeds, epochs, the
            papers' numbers, and their best in the last row.
        cards: the path from the page to the folder of model cards.
    """
    lines = ["| |" + "".join(f" {name} |" for name in DATA.values()), "|---|" + "--:|" * len(DATA)]
    groups, common = grouped(rows), {key[3] for key in published.values()}

    def cell(model: str) -> str:
        found = {key: runs for key, runs in groups.items() if key[2] == model}
        if not found:
            return ""
        key = max(
            found, key=lambda key: (float(key[-1]), published.get(model) == key, key[3] in common, len(found[key]))
        )
        runs, epochs = found[key], key[-1]
        mean = statistics.mean(100 * float(run["test_accuracy"]) for run in runs)
        seeds = f"{len(runs)} seeds, " if len(runs) > 1 else ""
        paper = f"; paper {PAPER[model]}" if model in PAPER else ""
        text = f"[{mean:.2f} %]({cards}/{model}/README.md)" if published.get(model) == key else f"{mean:.2f} %"
        return f"{text} ({seeds}{epochs} epochs{paper})" if networks is NETWORKS else text

    for pattern, words in NETWORKS.items():
        cells = [cell(pattern.format(data)) for data in DATA] if pattern in networks else []
        if any(cells):
            lines.append(f"| {words} | " + " | ".join(cells) + " |")
    if networks is not NETWORKS:
        return "\n".join(lines) + "\n"
    best = [max(PAPER[f"{network}-{data}"] for network in ("baseline", "r90", "r60")) for data in DATA]
    lines.append("| the papers' best | " + " | ".join(best) + " |")
    return "\n".join(lines) + "\n"


def render(rows: list[dict[str, str]], published: Mapping[str, Key] = NO_FOLDERS) -> str:
    """The table of all runs: mean over seeds, and the smallest and largest, beside the papers' numbers, with links to the
    models that are published."""
    groups = grouped(rows)
    lines = [
        "| data | model | whitening | trained in | epochs | seeds | parameters | with free filters | test | papers |",
        "|---|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for key, runs in sorted(groups.items(), key=lambda item: (*item[0][:-1], float(item[0][-1]))):
        dataset, task, model, whitening, mixed, epochs = key
        name = f"[`{model}`]({model}/README.md)" if published.get(model) == key else f"`{model}`"
        metric = "test_accuracy" if task == "classification" else "test_relative_error"
        unit = " %" if task == "classification" else " % missed"
        parameters, free = (f"{int(runs[0][name]):,}" for name in ("parameters", "parameters_of_free_filters"))
        for column in sorted(name for name in runs[0] if name == metric or name.startswith(metric + ON)):
            values = [100 * float(run[column]) for run in runs if run.get(column)]
            if not values:
                continue
            on = column.removeprefix(metric)
            data = f"{dataset}, tested on {on.removeprefix(ON)}" if on else dataset
            data = data.replace("rot-mnist:mnist", "rot-mnist").replace(":", " ")
            spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
            lines.append(
                f"| {data} | {name} | {whitening} | {PRECISIONS[mixed]} | {epochs} | {len(values)} | {parameters} | {free} "
                f"| {statistics.mean(values):.2f}{unit}{spread} | {PAPER.get(model + on, '')} |"
            )
    return "\n".join(lines) + "\n"


def insert(page: str, table: str) -> str:
    """The page with the table between its two marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{table}{END}{after}"


PAGES: Mapping[str, Callable[..., str]] = {  # from the folder of the records -> its table
    "README.md": render,
    "../README.md": partial(headlines, networks=FEW),
    "../docs/results.md": partial(headlines, cards="../model_cards"),
}


def update(records: Path) -> None:
    """Render the tables of PAGES anew, where these pages are."""
    with locked(records):
        rows, published = read(records), find_published(records.parent)
        for name, table in PAGES.items():
            if (page := records.parent / name).is_file():
                write_whole(page, insert(page.read_text(), table(rows, published)))


def find_published(cards: Path) -> dict[str, Key]:
    """The models that have a folder, each with what its run has in common with those of other seeds."""
    folders = [path.parent for path in cards.glob(f"*/{RESULTS_FILE}")]
    return {
        folder.name: key_of(row_of(read_results(folder), LGNConfig.from_pretrained(folder), folder.name))
        for folder in folders
    }


def main(argv: list[str]) -> int:
    root = Path(__file__).parent.parent.parent
    parser = argparse.ArgumentParser(prog="records.py", description="Record runs, and render the tables.")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of runs to record")
    parser.add_argument("--model", help="what these runs are called, if not as their recipe")
    parser.add_argument("--records", type=Path, default=root / "model_cards" / RECORDS)
    args = parser.parse_args(argv)
    try:
        for run in args.runs:
            record(run, args.records, model=args.model)
        update(args.records)
    except (ValueError, KeyError, OSError) as error:
        print(f"records.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
