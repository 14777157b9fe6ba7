"""Part `steps`: the training step against other networks and against the matrix products that it needs."""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch

from lgn_training.benchmark.contenders import (
    SHAPES,
    Contender,
    free_filters,
    gradient_error,
    make_batch,
    make_config,
    on,
    plain_loss,
)
from lgn_training.benchmark.operations import product_size, step_operations
from lgn_training.benchmark.textbook import ordinary_cnn
from lgn_training.benchmark.timing import alternate, matrix_rate, ratio
from lgn_training.texts import Row


def steps(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Training step: our network, the textbook's, free filters, an ordinary CNN, and the rate of matrix products"""
    rows = []
    for data in args.data:
        config = make_config(data)
        error, rate = gradient_error(config, device), matrix_rate(device)
        channels, side = SHAPES[data]
        multiply_adds = (2 * config.num_layers - 1) * product_size(config)
        for size in args.batch_sizes:
            batch = make_batch(data, size, device)
            ours = partial(Contender.ours(config, device).step, *batch)
            others = {
                "textbook": Contender.textbook(config, device),
                "free": Contender.ours(free_filters(data), device),
                "cnn": Contender(on(device, ordinary_cnn(channels, side, 10, multiply_adds)), plain_loss),
            }
            # In pairs: what the third leaves of the caches would count for one of the two.
            pairs = {
                name: alternate({"ours": ours, name: partial(other.step, *batch)}, device, rounds=args.rounds)
                for name, other in others.items()
            }
            step = statistics.median(pairs["free"]["ours"])
            rows.append(
                {
                    "data": data,
                    "batch": size,
                    "ours ms": step,
                    **{f"{name} ms": statistics.median(times[name]) for name, times in pairs.items()},
                    "roofline ms": 1e3 * step_operations(config, size) / rate,
                    "images/s": 1e3 * size / step,
                    "textbook / ours": ratio(pairs["textbook"], "textbook", "ours"),
                    "ours / free": ratio(pairs["free"], "ours", "free"),
                    "ours / cnn": ratio(pairs["cnn"], "ours", "cnn"),
                    "gradient error": error,
                }
            )
    return rows
