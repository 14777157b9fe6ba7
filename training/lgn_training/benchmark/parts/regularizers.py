"""Part `regularizers`: what a regularizer adds to a training step."""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch

from lgn_hf.model.configuration_lgn import REGULARIZERS
from lgn_training.benchmark.contenders import Contender, make_batch, make_config
from lgn_training.benchmark.operations import group_operations
from lgn_training.benchmark.timing import alternate, ratio
from lgn_training.texts import Row


def regularizers(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """What a regularizer adds to a step, and operations dispatched for orbits, regularizer and projection"""
    rows = []
    for data in args.data:
        batch = make_batch(data, 128, device)
        contenders = {kind: Contender.ours(make_config(data, regularizer=kind), device) for kind in REGULARIZERS}
        times = alternate(
            {kind: partial(c.step, *batch) for kind, c in contenders.items()}, device, rounds=2 * args.rounds
        )
        rows += [
            {
                "data": data,
                "regularizer": kind,
                "step ms": statistics.median(times[kind]),
                "step / none": ratio(times, kind, "none"),
                "operations": group_operations(contender.network),
            }
            for kind, contender in contenders.items()
        ]
    return rows
