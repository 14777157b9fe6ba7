"""Experiment `regularizers`: what keeps actions invertible, and at what price (figure 8, appendix B)."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from matplotlib.figure import Figure
from torch import Tensor

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.model.configuration_lgn import REGULARIZERS
from lgn_training.arguments import RunArguments
from lgn_training.benchmark.contenders import Contender
from lgn_training.benchmark.timing import alternate, ratio
from lgn_training.data import Data, load_data
from lgn_training.engine.evaluation import evaluate_split
from lgn_training.experiments.range_charts import Panel, range_chart
from lgn_training.experiments.registry import data_facts, experiment, save
from lgn_training.experiments.short_training import fit
from lgn_training.texts import Row

BATCH_SIZE = 128  # of the timed steps


@experiment(
    "regularizers",
    "What keeps actions invertible, and at what price (figure 8, appendix B)? Time, accuracy, condition numbers",
    options=("dataset",),
)
def regularizer_costs(args: argparse.Namespace) -> Row:
    data = load_data(args.dataset, seed=args.seed, train_val_split=0)
    processor = LGNImageProcessor(image_size=data.train.images.shape[-1], num_channels=data.train.images.shape[1]).fit(
        data.train.images
    )
    steps, seeds = (4, 1) if args.quick else (500, 3)
    times = time_steps(args, data, processor)
    rows: list[Row] = [
        {
            "regularizer": "untrained",
            "step ms": None,
            "step / none": None,
            "accuracy": None,
            "condition number": spread(conditions(make_network(data, "none", args.seed))),
        }
    ]
    for kind in REGULARIZERS:
        runs = [train(kind, args.seed + i, steps, data, processor) for i in range(seeds)]
        rows.append(
            {
                "regularizer": kind,
                "step ms": statistics.median(times[kind]),
                "step / none": ratio(times, kind, "none"),
                "accuracy": spread([accuracy for accuracy, _ in runs]),
                "condition number": spread([value for _, values in runs for value in values]),
            }
        )
    figures = [save(args, "figure-8", cost_chart(rows))]
    return {"rows": rows, "steps": steps, "seeds": seeds, "data": data_facts(data), "figures": figures}


def make_network(data: Data, regularizer: str, seed: int) -> LGNForImageClassification:
    """An untrained network for the data."""
    torch.manual_seed(seed)
    channels, side = data.train.images.shape[1:3]
    fields: dict[str, Any] = {
        "image_size": side,
        "num_channels": channels,
        "num_labels": len(data.label_names or ()),
        "regularizer": regularizer,
        "pool_size": min(4, side - 3),
    }
    return LGNForImageClassification(LGNConfig(**fields))


def training_labels(data: Data) -> Tensor:
    assert data.train.labels is not None  # load_data looks for them
    return data.train.labels


def time_steps(args: argparse.Namespace, data: Data, processor: LGNImageProcessor) -> dict[str, list[float]]:
    """Milliseconds of training steps with each regularizer, taken in turns."""
    pixels = processor.pixel_values(data.train.images[:BATCH_SIZE])
    labels = training_labels(data)[:BATCH_SIZE]
    calls: dict[str, Callable[[], object]] = {
        kind: partial(Contender(make_network(data, kind, args.seed)).step, pixels, labels) for kind in REGULARIZERS
    }
    return alternate(calls, torch.device("cpu"), rounds=1 if args.quick else 31, seconds=60)


def train(
    regularizer: str, seed: int, steps: int, data: Data, processor: LGNImageProcessor
) -> tuple[float, list[float]]:
    """The test accuracy of a trained network, and the condition number of each of its actions."""
    network, labels = make_network(data, regularizer, seed), training_labels(data)

    def loss(batch: Tensor) -> Tensor:
        return network(processor.pixel_values(data.train.images[batch]), labels=labels[batch]).loss

    fit(network, loss, len(labels), steps=steps, args=RunArguments(seed=seed), name=regularizer)
    metrics = evaluate_split(
        Accelerator(cpu=True), network, data.test, processor.pixel_values, task="classification", batch_size=500
    )
    return metrics["accuracy"], conditions(network)


@torch.no_grad()
def conditions(network: LGNForImageClassification) -> list[float]:
    """The condition number of every action."""
    return torch.linalg.cond(network.group_actions().flatten(0, 2).double()).flatten().tolist()


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cost_chart(rows: list[Row]) -> Figure:
    """Time, accuracy and condition numbers with each regularizer."""

    def panel(title: str, column: str, **options: Any) -> Panel:
        cells = [row[column] for row in rows]
        ranges = [None if cell is None else (cell["min"], cell["median"], cell["max"]) for cell in cells]
        return Panel(title, ranges, **options)

    panels = [
        panel("step time, over that of none", "step / none"),
        panel("test accuracy", "accuracy"),
        panel("condition number", "condition number", logarithmic=True),
    ]
    return range_chart([row["regularizer"] for row in rows], panels, measured="median, smallest to largest")
