"""Repeat an experiment of the papers, or one of ours: `python training/experiments.py NAME [--source MODEL_FOLDER ...]`.

It leaves `result.json` and its figures in `--output_dir`; `--quick` does the same on less in seconds. The committed results
are in `training/lgn_training/experiments/measured/NAME`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.console import Console
from transformers.utils import logging

from lgn_hf.files import Output, write_whole
from lgn_training.engine.processes import fail
from lgn_training.experiments import (  # noqa: F401  (each registers its experiment)
    code_sparsity,
    converted_architectures,
    discovery_atoms,
    discovery_boards,
    discovery_data,
    discovery_images,
    discovery_none,
    discovery_transfer,
    equivariance_errors,
    fourier_diagonality,
    known_matrices,
    left_action_limits,
    operators_from_patches,
    planted_symmetry,
    regularizer_costs,
    stored_weights,
    trained_structures,
)
from lgn_training.experiments.registry import EXPERIMENTS
from lgn_training.experiments.run_journal import JOURNAL, QUICK_JOURNAL
from lgn_training.results import commit, machine, today, versions
from lgn_training.texts import Row, print_rows

RESULT = "result.json"


def main(argv: list[str]) -> int:
    """Do an experiment and return the exit code. Every mistake of the user ends in one line."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        args = parse(argv)
        result = run(args, [sys.argv[0], *argv])
        show(result, EXPERIMENTS[args.name].question, args.output_dir)
    except (ValueError, OSError) as error:
        return fail("experiments.py", error)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    def users(option: str) -> str:
        return ", ".join(experiment.name for experiment in EXPERIMENTS.values() if option in experiment.options)

    names = "; ".join(f"{experiment.name}: {experiment.question}" for experiment in EXPERIMENTS.values())
    parser = argparse.ArgumentParser(prog="experiments.py", description=__doc__)
    parser.add_argument("name", choices=EXPERIMENTS, help=names.replace("%", "%%"))
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help=f"folders of trained models; for {users('source')}",
    )
    parser.add_argument(
        "--data", type=Path, help=f"folder of mnist/ and cifar10/; default: the Hub; for {users('data')}"
    )
    parser.add_argument("--dataset", default="digits", help=f"data set, as run.py takes it; for {users('dataset')}")
    parser.add_argument("--quick", action="store_true", help="do the same on less, in seconds")
    parser.add_argument(
        "--output_dir",
        type=Path,
        help="folder for result.json and the figures; default: runs/NAME, which is not in git",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of data, initial weights and order of batches")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error(f"argument --seed: must be at least 0, not {args.seed}")
    args.output_dir = args.output_dir or Path("runs") / args.name
    return args


def run(args: argparse.Namespace, command: list[str]) -> Row:
    """Do the experiment, and leave its figures and `result.json` in the output folder."""
    output_of(args.name).check(args.output_dir)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    result = {
        "experiment": args.name,
        **EXPERIMENTS[args.name].run(args),
        "command": " ".join(["python", *map(relative, command)]),
        "seed": args.seed,
        "quick": args.quick,
        "machine": machine(Accelerator(cpu=True)),
        "versions": versions(),
        "commit": commit(),
        "date": today(),
    }
    write_whole(args.output_dir / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return result


def output_of(name: str) -> Output:
    """What an experiment writes into its folder. One that was interrupted has left its journal alone."""
    journals = (JOURNAL, QUICK_JOURNAL)
    return Output((RESULT, "*.png", *journals), RESULT, f'"experiment": "{name}"', begun=journals)


def relative(argument: str) -> str:
    """An argument of the command line, without the place of a folder on this machine."""
    return os.path.relpath(argument) if os.path.isabs(argument) else argument


def show(result: Row, question: str, folder: Path) -> None:
    """Print the tables of a result."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    print_rows(question, [printable(row) for row in result["rows"]], console)
    if result.get("distances"):
        print_rows("Distances between the actions of two models", result["distances"], console)
    console.print(f"written: {folder}", highlight=False)


def printable(row: Row) -> Row:
    """A row for the table: - for None, and chance in brackets."""

    def text(value: Any) -> Any:
        if value is None:
            return "-"
        if isinstance(value, dict) and "chance" in value:
            return f"{value['found']:.2f} ({value['chance']:.2f})"
        return value

    return {name: text(value) for name, value in row.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
