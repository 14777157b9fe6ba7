"""Part `inference`: a loaded model against its filters as constants, exported and compiled."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial

import torch

from lgn_hf import LGNForImageClassification
from lgn_training.benchmark.contenders import make_batch, make_config, on
from lgn_training.benchmark.timing import alternate, medians, ratios
from lgn_training.texts import Row


@torch.no_grad()
def inference(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A loaded model, its filters as plain constants, exported, compiled"""
    rows = []
    for data in args.data:
        with tempfile.TemporaryDirectory() as folder:
            LGNForImageClassification(make_config(data)).save_pretrained(folder)
            loaded, constant = (on(device, LGNForImageClassification.from_pretrained(folder)).eval() for _ in range(2))
        bank = constant.filter_bank().flatten(1, 2)
        constant.lgn.current_filters = lambda bank=bank: bank
        for size in (1, 128):
            images, _ = make_batch(data, size, device)
            exported = torch.export.export(loaded, (images,)).module()
            contenders: dict[str, Callable] = {"loaded": loaded, "constant": constant, "exported": exported}
            if args.compile:
                contenders["compiled"] = torch.compile(loaded)
            expected = loaded(images).logits
            for name, network in contenders.items():
                torch.testing.assert_close(network(images).logits, expected, rtol=1e-3, atol=1e-4, msg=name)
            times = alternate(
                {name: partial(network, images) for name, network in contenders.items()},
                device,
                rounds=2 * args.rounds,
            )
            rows.append(
                {
                    "data": data,
                    "batch": size,
                    **medians(times),
                    "images/s": 1e3 * size / statistics.median(times["loaded"]),
                    **ratios(times, ("loaded", "constant")),
                }
            )
    return rows
