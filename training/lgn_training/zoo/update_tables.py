"""Record runs in `model_cards/results.csv` and render the tables: `python training/records.py [RUN ...]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lgn_training.engine.processes import fail
from lgn_training.zoo.queue import CHECKOUT
from lgn_training.zoo.records import RECORDS, record
from lgn_training.zoo.tables import update


def main(argv: list[str]) -> int:
    """Record and render, and return the exit code."""
    parser = argparse.ArgumentParser(prog="records.py", description="Record runs, and render the tables.")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of runs to record")
    parser.add_argument("--model", help="name of the model of these runs; default: the name of their recipe")
    parser.add_argument(
        "--records", type=Path, default=CHECKOUT / "model_cards" / RECORDS, help="the CSV file; default: %(default)s"
    )
    args = parser.parse_args(argv)
    try:
        for run in args.runs:
            record(run, args.records, model=args.model)
        update(args.records)
    except (ValueError, KeyError, OSError) as error:
        return fail("records.py", error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
