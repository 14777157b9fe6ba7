"""Part `whitening`: the time to fit a whitening."""

from __future__ import annotations

import argparse
import time

import torch

from lgn_hf.model.whitening import fit_patch, fit_zca
from lgn_training.texts import Row


def whitening(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Fitting whitening on images like CIFAR-10's training set"""
    images = torch.randn(50_000, 3, 32, 32)
    rows = []
    for fit in (fit_patch, fit_zca):
        start = time.perf_counter()
        fit(images)
        rows.append({"whitening": fit.__name__.removeprefix("fit_"), "seconds": time.perf_counter() - start})
    return rows
