"""Part `precision`: float32 against bfloat16."""

from __future__ import annotations

import argparse
from functools import partial

import torch

from lgn_training.benchmark.contenders import Contender, make_batch, make_config, mixed_loss, our_loss
from lgn_training.benchmark.timing import alternate, medians, ratios
from lgn_training.texts import Row


def precision(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """float32 against bfloat16 autocast: a training step of the default network, and of one with more, larger filters"""
    rows = []
    for data in args.data:
        batch = make_batch(data, 128, device)
        for config in (make_config(data), make_config(data, num_groups=10, group_order=6, filter_size=8)):
            losses = {"float32": our_loss, "bfloat16": mixed_loss}
            contenders = {name: Contender.ours(config, device, loss) for name, loss in losses.items()}
            times = alternate(
                {name: partial(c.step, *batch) for name, c in contenders.items()},
                device,
                rounds=args.rounds,
                seconds=9.0,
            )
            rows.append(
                {
                    "data": data,
                    "filters": config.num_filters,
                    "size": config.filter_size,
                    **medians(times),
                    **ratios(times, ("float32", "bfloat16")),
                }
            )
    return rows
