"""Train every network of `zoo.yaml`, record it, and build the folders that are published.

`python training/zoo.py --data FOLDER` continues where it was stopped; `--list` shows what is done and what remains.
A run that `results.csv` holds is not trained again.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lgn_training.engine.processes import fail
from lgn_training.zoo.publishing import finish
from lgn_training.zoo.queue import CHECKOUT, TRAINING, Run, read_queue
from lgn_training.zoo.records import RECORDS, Key, read_by_key, read_results


def main(argv: list[str]) -> int:
    """Work through the queue, and return the exit code."""
    args = parse(argv)
    try:
        queue = read_queue(args.queue, args.runs)
        wanted = select(queue, args.only, args.queue)
        recorded = read_by_key(args.cards / RECORDS)
        if not args.list:
            for run in wanted:
                if not run.is_done and run.key not in recorded:
                    print(f"{run.name}, seed {run.seed}", flush=True)
                    train(run.command(args.data))
                if run.is_done:  # perhaps earlier: the program may have been stopped before it recorded the run
                    finish(run, queue, args.cards, args.data)
        print_queue(wanted, recorded, Console())
    except (ValueError, OSError) as error:
        return fail("zoo.py", error)
    except subprocess.CalledProcessError as error:  # the run has printed why
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zoo.py", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of mnist/ and cifar10/; default: the Hub")
    parser.add_argument("--queue", type=Path, default=TRAINING / "zoo.yaml", help="the queue; default: %(default)s")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="folder of the runs; default: %(default)s")
    parser.add_argument(
        "--cards",
        type=Path,
        default=CHECKOUT / "model_cards",
        help="folder of the records and of the published folders; default: %(default)s",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="MODEL", default=[], help="train these models alone; MODEL-SEED is one run"
    )
    parser.add_argument("--list", action="store_true", help="show what is done and what remains")
    return parser.parse_args(argv)


def select(queue: list[Run], only: list[str], path: Path) -> list[Run]:
    """The runs that `--only` names, all by default.

    Raises:
        ValueError: it names a model or run that is not in the queue.
    """
    chosen = [run for run in queue if not only or {run.name, run.folder.name} & {*only}]
    if unknown := {*only} - {name for run in chosen for name in (run.name, run.folder.name)}:
        raise ValueError(f"--only {' '.join(sorted(unknown))}: {path} has no such model")
    return chosen


def train(command: list[str]) -> None:
    """Run a training. If this program is stopped by Ctrl-C or SIGTERM, the training first saves its checkpoint.

    Ctrl-C reaches the training by itself; SIGTERM is passed on.

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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
