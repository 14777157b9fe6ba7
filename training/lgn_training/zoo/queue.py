"""The zoo: every network of `zoo.yaml`, trained one after the other, recorded and made ready to publish.

`python training/zoo.py --data FOLDER` continues where it was stopped, by Ctrl-C or otherwise; `--list` shows what is done and
what remains. What `results.csv` has is not trained again, unless another folder of `--cards` is to have it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lgn_hf.hub.cards import BASELINE_NAME
from lgn_hf.hub.examples import MOST_EXAMPLES, find_examples
from lgn_hf.hub.publication import build, is_built
from lgn_hf.runs.sources import data_name
from lgn_training.arguments import as_options
from lgn_training.data import load_test_images
from lgn_training.output import RESULTS_FILE
from lgn_training.records import RECORDS, Key, locked, read_by_key, read_results, record, short_name, update

HERE = Path(__file__).parent.parent
FOLDERS = {"ylecun/mnist": "mnist", "uoft-cs/cifar10": "cifar10"}  # in --data
NOTES = {  # what a reader must know of the data there
    "uoft-cs/cifar10": "a copy of CIFAR-10 that is JPEG-compressed (quality 75), training and test images alike"
}
PUBLISHED_OTHERWISE = {"recipe", "data", "also_tested_on"}  # results that name folders of this machine


@dataclass(frozen=True)
class Run:
    """One training: a recipe, the fields of it that differ, a seed. folder: where it lies, with those of other runs."""

    name: str
    recipe: str
    epochs: int
    seed: int
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    publish: bool = False

    @property
    def is_done(self) -> bool:
        return (self.folder / RESULTS_FILE).is_file()

    def command(self, data: Path | None) -> list[str]:
        """What trains it; run again, what continues it."""
        further = self.fields.get("also_test_on") or []
        fields = {
            **self.options,
            "dataset": local(self.fields["dataset"], data),
            "also_test_on": [local(source, data) for source in further] or None,
            "num_train_epochs": self.epochs,
            "seed": self.seed,
            "output_dir": self.folder,
        }
        return [sys.executable, str(HERE / "run.py"), str(self.recipe_file), *as_options(fields), "--resume"]

    @property
    def key(self) -> Key:
        """What the row of its results has in the columns `records.KEY`."""
        fields = self.fields
        precision = next((name for name in ("bf16", "fp16") if fields.get(name)), "no")
        facts = (self.name, short_name(fields["dataset"]), self.seed, self.epochs, fields["whitening"])
        return (*map(str, facts), precision)

    @property
    def recipe_file(self) -> Path:
        return HERE / "recipes" / f"{self.recipe}.yaml"

    @property
    def fields(self) -> dict[str, Any]:
        """Of its recipe, as it is trained."""
        return {**yaml.safe_load(self.recipe_file.read_text()), **self.options}

    def examples(self, data: Path | None) -> list[Tensor]:
        """Some of its test images."""
        options = {"seed": self.seed, "max_test_samples": MOST_EXAMPLES, "needs_labels": False, "progress": False}
        return [*load_test_images(local(self.fields["dataset"], data), **options).images]


def local(dataset: str, data: Path | None) -> str:
    """Where a data set lies in --data: `rot-mnist:ylecun/mnist` is `rot-mnist:DATA/mnist`."""
    prefix, colon, name = dataset.rpartition(":")
    return dataset if data is None or name not in FOLDERS else f"{prefix}{colon}{data / FOLDERS[name]}"


def read_queue(path: Path, runs: Path) -> list[Run]:
    """The runs of `zoo.yaml`, in its order.

    Raises:
        ValueError: a field is unknown or missing, or a recipe does not exist.
    """
    queue = []
    for entry in yaml.safe_load(path.read_text()):
        unknown = entry.keys() - {"name", "recipe", "epochs", "seeds", "options", "baseline", "publish", "folder"}
        missing = {"recipe", "epochs", "seeds"} - entry.keys()
        if unknown or missing:
            raise ValueError(f"{path}: {entry} has unknown fields {sorted(unknown)}, or lacks {sorted(missing)}")
        if not (HERE / "recipes" / f"{entry['recipe']}.yaml").is_file():
            raise ValueError(f"{path}: there is no recipe {entry['recipe']}")
        name = entry.get("name", entry["recipe"])
        for seed in entry["seeds"]:
            queue.append(
                Run(
                    name,
                    entry["recipe"],
                    entry["epochs"],
                    seed,
                    runs / f"{entry.get('folder', name)}-{seed}",
                    entry.get("options", {}),
                    entry.get("baseline"),
                    entry.get("publish", True) and seed == entry["seeds"][0],
                )
            )
    names = {run.name for run in queue} | {None}
    if unknown := {run.baseline for run in queue} - names:
        raise ValueError(f"{path}: there is no model {', '.join(map(str, unknown))} to be a baseline")
    return queue


def train(command: list[str]) -> None:
    """Run a training, and let it save its checkpoint when this program is stopped by Ctrl-C, which it gets too, or SIGTERM.

    Raises:
        subprocess.CalledProcessError: it failed or was stopped.
    """
    process = subprocess.Popen(command)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
    if code:
        raise subprocess.CalledProcessError(code, command)


def finish(run: Run, queue: list[Run], cards: Path, data: Path | None) -> None:
    """Record a complete run, build what is published of it and of those that are compared with it, and render the tables."""
    record(run.folder, cards / RECORDS, model=run.name)
    with locked(cards / "folders"):
        for other in queue:
            if run.name in (other.name, other.baseline) and is_published(other, queue):
                publish(other, queue, cards / other.name, data)
    update(cards / RECORDS)


def is_published(run: Run, queue: list[Run]) -> bool:
    """Whether a run becomes its model's folder: the longest of those that are done does."""
    longest = max((r.epochs for r in queue if r.name == run.name and r.publish and r.is_done), default=None)
    return run.publish and run.is_done and run.epochs == longest


def is_baseline(other: Run, run: Run) -> bool:
    """Whether a run is of the model that the other's card compares with, trained alike."""
    if (other.name, other.seed, other.epochs) != (run.baseline, run.seed, run.epochs):
        return False
    return other.fields["whitening"] == run.fields["whitening"]


def publish(run: Run, queue: list[Run], card: Path, data: Path | None) -> None:
    """Build the folder that is published, unless it is there and of this run and has examples and its baseline."""
    baseline = next((r for r in queue if r.is_done and is_baseline(r, run)), None)
    if is_built(card) and find_examples(card) and (baseline is None or (card / BASELINE_NAME).is_file()):
        there, here = read_results(card), read_results(run.folder)
        if all(there.get(name) == here[name] for name in here.keys() - PUBLISHED_OTHERWISE):
            return
    dataset = data_name(run.fields["dataset"]).id
    build(
        run.folder,
        card,
        repo_id=f"lgn-hf/{run.name}",
        dataset=dataset,
        dataset_note=NOTES.get(dataset or ""),
        baseline=baseline.folder if baseline else None,
        examples=run.examples(data),
    )


def print_queue(queue: list[Run], recorded: Mapping[Key, Mapping[str, Any]], console: Console) -> None:
    rows = [read_results(run.folder) if run.is_done else recorded.get(run.key) for run in queue]
    done = sum(row is not None for row in rows)
    table = Table("model", "seed", "epochs", "result", title=f"{done} of {len(queue)} done")
    for run, row in zip(queue, rows, strict=True):
        found = [
            row[name] for name in ("test_accuracy", "test_relative_error") if row and row.get(name) not in (None, "")
        ]
        table.add_row(run.name, str(run.seed), str(run.epochs), f"{float(found[0]):.2%}" if found else "")
    console.print(table)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="zoo.py", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of mnist/ and cifar10/; from the Hub by default")
    parser.add_argument("--queue", type=Path, default=HERE / "zoo.yaml", help="what to train")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="where the runs lie")
    parser.add_argument(
        "--cards", type=Path, default=HERE.parent / "model_cards", help="where finished models and records go"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="MODEL", default=[], help="these alone; MODEL-SEED for one of its runs"
    )
    parser.add_argument("--list", action="store_true", help="show what is done and what remains")
    args = parser.parse_args(argv)
    try:
        queue = read_queue(args.queue, args.runs)
        wanted = [run for run in queue if not args.only or {run.name, run.folder.name} & {*args.only}]
        if unknown := {*args.only} - {name for run in wanted for name in (run.name, run.folder.name)}:
            raise ValueError(f"--only {' '.join(sorted(unknown))}: {args.queue} has no such model")
        recorded = read_by_key(args.cards / RECORDS)
        if not args.list:
            for run in wanted:
                if not run.is_done and run.key not in recorded:
                    print(f"{run.name}, seed {run.seed}", flush=True)
                    train(run.command(args.data))
                if run.is_done:  # just now or before: it may have been stopped before it was recorded
                    finish(run, queue, args.cards, args.data)
        print_queue(wanted, recorded, Console())
    except (ValueError, OSError) as error:
        print(f"zoo.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:  # the run has said why
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0
