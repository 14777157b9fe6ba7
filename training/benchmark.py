"""How fast a training step is, against what it could be: `python training/benchmark.py [--output FILE.json]`.

Every comparison is paired: the steps of all contenders alternate in one run, and a ratio is the median of the ratios of
neighbours. Each contender's gradients are first checked against the textbook's in float64.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from arguments import RunArguments
from optimization import make_optimizer
from results import machine, today, versions
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf import LGNConfig, LGNForImageClassification, modeling_lgn

SHAPES = {"mnist": (1, 28), "cifar10": (3, 32)}  # channels, side


def textbook_convolutions():
    """The network with `conv2d` and `conv_transpose2d` as they come."""

    def analysis(residual: Tensor, filters: Tensor, padding: int, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(residual, filters, bias, padding=padding)

    def synthesis(code: Tensor, filters: Tensor, padding: int) -> Tensor:
        return F.conv_transpose2d(code, filters, padding=padding)

    return patch.multiple(modeling_lgn, analysis=analysis, synthesis=synthesis)


class Contender:
    """A network with its optimiser, and one training step of it: forward, loss, backward, clip, Adam, projection."""

    def __init__(self, config: LGNConfig, *, textbook: bool):
        torch.manual_seed(0)
        self.network = LGNForImageClassification(config).train()
        self.textbook = textbook
        self.args = RunArguments()
        self.optimizer = make_optimizer(self.network, self.args)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        if not self.textbook:
            return self.network(images, labels=labels).loss
        with textbook_convolutions():
            return self.network(images, labels=labels).loss

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(images, labels).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.network.project_()


def check(config: LGNConfig) -> float:
    """The largest relative difference of a gradient between our step and the textbook's, in float64."""
    gradients = []
    images = torch.randn(8, config.num_channels, config.image_size, config.image_size, dtype=torch.float64)
    labels = torch.arange(8)
    for textbook in (False, True):
        contender = Contender(config, textbook=textbook)
        contender.network.double()
        contender.loss(images, labels).backward()
        gradients.append([p.grad for p in contender.network.parameters() if p.grad is not None])
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-12)) for a, b in zip(*gradients, strict=True))


def alternate(contenders: dict[str, Callable[[], object]], rounds: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Milliseconds of each contender's calls, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def matrix_rate(size: int = 1024, calls: int = 15) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    a, b = torch.randn(2, size, size).unbind()
    milliseconds = min(alternate({"product": lambda: torch.mm(a, b)}, calls)["product"])
    return 2 * size**3 / (milliseconds / 1e3)


def step_operations(config: LGNConfig, batch_size: int) -> int:
    """Operations of the convolution-sized products that a step needs, two for each multiply-add.

    Forward L analyses and L - 1 syntheses (the first layer starts from a zero code); backward 2 L - 1 filter gradients
    and 2 (L - 1) input gradients.
    """
    products = 2 * (2 * config.num_layers - 1) + 2 * (config.num_layers - 1)
    per_image = config.code_size**2 * config.num_filters * config.num_channels * config.filter_dim
    return 2 * products * batch_size * per_image


def measure(data: str, batch_size: int, rounds: int) -> dict:
    """One row: our step against the textbook's, against free filters, and against the roofline."""
    channels, side = SHAPES[data]
    shape: dict[str, Any] = {"num_channels": channels, "image_size": side, "num_labels": 10}
    config, free = LGNConfig(**shape), LGNConfig(**shape, num_groups=20, group_order=1)
    images, labels = torch.randn(batch_size, channels, side, side), torch.randint(10, (batch_size,))
    contenders = {
        "ours": Contender(config, textbook=False),
        "textbook": Contender(config, textbook=True),
        "free": Contender(free, textbook=False),
    }
    times = alternate({name: lambda c=c: c.step(images, labels) for name, c in contenders.items()}, rounds)
    medians = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    ratios = {
        "textbook / ours": [t / o for t, o in zip(times["textbook"], times["ours"], strict=True)],
        "ours / free": [o / f for o, f in zip(times["ours"], times["free"], strict=True)],
    }
    roofline = 1e3 * step_operations(config, batch_size) / matrix_rate()
    return {
        "data": data,
        "batch_size": batch_size,
        **medians,
        "roofline_ms": roofline,
        "images_per_second": 1e3 * batch_size / medians["ours_ms"],
        "gradient_error": check(config),
        **{name: {"median": statistics.median(r), "min": min(r), "max": max(r)} for name, r in ratios.items()},
    }


def print_rows(rows: list[dict]) -> None:
    table = Table(title="Training step, milliseconds")
    for column in ("data", "batch", "ours", "textbook", "free", "roofline", "textbook / ours", "ours / free"):
        table.add_column(column, justify="right")
    for row in rows:
        ratios = (row[name] for name in ("textbook / ours", "ours / free"))
        table.add_row(
            row["data"],
            str(row["batch_size"]),
            *(f"{row[name]:.1f}" for name in ("ours_ms", "textbook_ms", "free_ms", "roofline_ms")),
            *(f"{r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})" for r in ratios),
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[128], help="images per step")
    parser.add_argument("--rounds", type=int, default=9, help="timed steps of each contender")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    cases = [(data, size) for data in SHAPES for size in args.batch_sizes]
    rows = [measure(data, size, args.rounds) for data, size in tqdm(cases, unit="case")]
    print_rows(rows)
    if args.output:
        facts = {"rows": rows, "machine": machine(Accelerator(cpu=True)), "versions": versions(), "date": today()}
        args.output.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
