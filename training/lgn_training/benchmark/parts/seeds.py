"""Part `seeds`: the training step of several seeds, one after the other and at once."""

from __future__ import annotations

import argparse
import copy
import statistics
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from lgn_hf.runs.family import FAMILIES
from lgn_training.arguments import Recipe, RunArguments, parse_arguments, with_recipe_file
from lgn_training.benchmark.contenders import on
from lgn_training.benchmark.timing import alternate, own_clock, ratio
from lgn_training.data.batches import MicroBatch
from lgn_training.engine.batched_seeds import StackedStep, stack_batches
from lgn_training.engine.optimization import make_optimizer
from lgn_training.engine.step import TrainingStep
from lgn_training.texts import Row

SEEDS = 4
IMAGES = {"lgn-digits": (1, 8), "convnet-digits": (1, 8), "lgn-mnist": (1, 28), "convnet-rotmnist": (1, 28)}
STEPS = 1000  # of the schedule, which does not change the time of a step


@dataclass
class Seed:
    """The network of a seed and its optimiser, as `StackedStep` takes them from a loop."""

    accelerator: Accelerator
    network: Any
    optimizer: torch.optim.Optimizer
    args: RunArguments
    total_steps: int = STEPS


def seeds(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Training step of four seeds of a recipe: one after the other, and at once as one network"""
    accelerator, rows = Accelerator(), []
    for name, (channels, side) in IMAGES.items():
        recipe = parse_arguments(with_recipe_file([name]))
        networks = [on(device, make_network(recipe, channels, side, seed)).train() for seed in range(SEEDS)]
        for size in args.batch_sizes:
            images = torch.randn(SEEDS, size, channels, side, side, device=device)
            labels = torch.randint(10, (SEEDS, size), device=device)
            batches = [[MicroBatch(*batch, 1.0)] for batch in zip(images, labels, strict=True)]
            apart, together = (
                [
                    Seed(accelerator, each, make_optimizer(each, recipe.run), recipe.run)
                    for each in copy.deepcopy(networks)
                ]
                for _ in range(2)
            )
            prepared = [accelerator.prepare(seed.network, seed.optimizer) for seed in apart]
            steps = [TrainingStep(accelerator, *pair, args=recipe.run, total_steps=STEPS) for pair in prepared]
            contenders = {
                "apart": lambda steps=steps, batches=batches: [
                    step(batch, 0) for step, batch in zip(steps, batches, strict=True)
                ],
                "at once": partial(StackedStep(together), stack_batches(batches), 0),
            }
            times = alternate(contenders, device, rounds=args.rounds, seconds=20, clock=own_clock(device))
            accelerator.free_memory()
            rows.append(
                {
                    "recipe": name,
                    "batch": size,
                    "seeds": SEEDS,
                    **{f"{contender} ms": statistics.median(values) for contender, values in times.items()},
                    "apart / at once": ratio(times, "apart", "at once"),
                }
            )
    return rows


def make_network(recipe: Recipe, channels: int, side: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    family = FAMILIES[recipe.model_type]
    fields = {**recipe.network, "num_channels": channels, "image_size": side, "num_labels": 10}
    return family.network_class(recipe.run.task)(family.config_class(**fields))
