"""Part `growth`: how the costs grow with the geometry of the network."""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch

from lgn_training.benchmark.contenders import Contender, make_batch, make_config
from lgn_training.benchmark.operations import group_operations, group_work
from lgn_training.benchmark.timing import alternate
from lgn_training.texts import Row

GROWTH = {"num_groups": (2, 5, 10, 20), "group_order": (2, 4, 8), "num_layers": (2, 4, 8), "filter_size": (4, 6, 8)}


def growth(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """How step and group work grow, one thing at a time (MNIST shapes, batch 128)"""
    batch = make_batch("mnist", 128, device)
    rows = []
    for field, values in GROWTH.items():
        contenders = {value: Contender.ours(make_config("mnist", **{field: value}), device) for value in values}
        step_times, group_times = (
            alternate(
                {str(v): partial(call, c) for v, c in contenders.items()},
                device,
                rounds=min(5, args.rounds),
                seconds=2.0,
            )
            for call in (lambda c: c.step(*batch), lambda c: group_work(c.network))
        )
        rows += [
            {
                "field": field,
                "value": value,
                "step ms": statistics.median(step_times[str(value)]),
                "groups ms": statistics.median(group_times[str(value)]),
                "operations": group_operations(contender.network),
            }
            for value, contender in contenders.items()
        ]
    return rows
