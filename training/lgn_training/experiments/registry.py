"""The experiments by name. To add one, write a file with a function under `@experiment`, and import it in `__main__.py`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from lgn_hf.plotting import save_figure
from lgn_training.data import Data
from lgn_training.texts import Row


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    name: on the command line. question: the title of its table. options: those of the command line that it uses, besides
    `--quick`, `--output_dir` and `--seed`. run: the command line to the result, a JSON object with `rows`, the names of
    its `figures`, and `data` if it uses any.
    """

    name: str
    question: str
    options: tuple[str, ...]
    run: Callable[[argparse.Namespace], Row]


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(name: str, question: str, options: tuple[str, ...] = ()) -> Callable:
    """Register the decorated function as an experiment."""

    def register(run: Callable[[argparse.Namespace], Row]) -> Callable[[argparse.Namespace], Row]:
        EXPERIMENTS[name] = Experiment(name, question, options, run)
        return run

    return register


def save(args: argparse.Namespace, name: str, figure: Figure) -> str:
    """Save a figure in `--output_dir`, and return the name of its file."""
    save_figure(figure, args.output_dir / f"{name}.png", dpi=50 if args.quick else 200)
    return f"{name}.png"


def data_facts(data: Data) -> Row:
    """What a result says about its data set."""
    return {"source": data.source, "fingerprint": data.fingerprint, "train": len(data.train), "test": len(data.test)}
