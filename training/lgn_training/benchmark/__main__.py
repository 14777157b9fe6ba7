"""Measure how fast the network is: `python training/benchmark.py [--parts PART ...] [--output FILE.json]`.

Every comparison is paired: the contenders take turns in one run, and a ratio is the median of the ratios of neighbours,
with the smallest and largest. The textbook network is first checked to have the same gradients, in float64.
Nothing is downloaded; images are random.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from accelerate import Accelerator
from rich.console import Console
from tqdm.auto import tqdm
from transformers.utils import logging

from lgn_hf.files import check_output_file, write_whole
from lgn_training.benchmark.contenders import SHAPES
from lgn_training.benchmark.parts import PARTS
from lgn_training.engine.processes import fail
from lgn_training.results import commit, machine, today, versions
from lgn_training.texts import Row, print_rows

OUTPUT_STARTS = tuple(f'{{\n  "{name}": ' for name in (*PARTS, "command"))  # "command" if no part applies


def main(argv: list[str]) -> int:
    """Measure the parts, print their tables, and return the exit code."""
    args = parse(argv)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    accelerator = Accelerator()
    try:
        if args.output:
            check_output_file(args.output, *OUTPUT_STARTS)
        results = measure(args, accelerator)
        if args.output:
            write_whole(args.output, json.dumps({**results, **circumstances(accelerator)}, indent=2) + "\n")
    except (ValueError, OSError) as error:
        return fail("benchmark.py", error)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmark.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--data", nargs="+", choices=SHAPES, default=list(SHAPES), help="shapes of images")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[32, 128, 1024], help="images per training step")
    parser.add_argument("--rounds", type=int, default=11, help="timed steps of each contender, at most")
    parser.add_argument("--compile", action="store_true", help="inference: torch.compile too, which takes a minute")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    return parser.parse_args(argv)


def measure(args: argparse.Namespace, accelerator: Accelerator) -> dict[str, list[Row]]:
    """The rows of each part that applies here, printed as they come."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    results = {}
    for name in (bar := tqdm(args.parts, unit="part")):
        bar.set_description(name)
        rows = PARTS[name](args, accelerator.device)
        if rows:
            results[name] = rows
            print_rows((PARTS[name].__doc__ or name).split("\n\n")[0], rows, console)
    return results


def circumstances(accelerator: Accelerator) -> Row:
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(accelerator),
        "versions": versions(),
        "commit": commit(),
        "date": today(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
