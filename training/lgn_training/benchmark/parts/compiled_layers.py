"""Part `compiled_layers`: the step against the rate of this processor, and what its time goes to."""

from __future__ import annotations

import argparse
import ctypes
import functools
import statistics
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F

from lgn_hf.cpu.compilation import build, library
from lgn_training.benchmark.contenders import SHAPES, Contender, make_batch, make_config
from lgn_training.benchmark.operations import step_operations
from lgn_training.benchmark.timing import alternate, matrix_rate, own_clock, ratio, summary
from lgn_training.engine.memory import keep_freed_memory
from lgn_training.texts import Row

BATCH_SIZE = 128
SOURCE = Path(__file__).parents[1] / "timed_layer.cpp"
WORK = ("analysis", "synthesis", "filter gradient", "moments", "normalisation", "ReLU gradient", "residual")


def compiled_layers(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """Compiled layers, batch 128: the step against the best rate of products and convolutions, and where its time goes"""
    if device.type != "cpu" or library() is None:
        return []
    keep_freed_memory()  # as the training program does; for all contenders
    return [measure(args, device, data) for data in args.data]


def measure(args: argparse.Namespace, device: torch.device, data: str) -> Row:
    config, batch = make_config(data), make_batch(data, BATCH_SIZE, device)
    ours, textbook = Contender.ours(config, device), Contender.textbook(config, device)
    calls = {"ours": partial(ours.step, *batch), "textbook": partial(textbook.step, *batch)}
    times = alternate(calls, device, rounds=args.rounds, seconds=60, clock=own_clock(device))
    products = max(matrix_rate(device, size) for size in (512, 1024))
    convolutions = best_convolution(data, device)
    roofline = 1e3 * step_operations(config, BATCH_SIZE) / max(products, convolutions)
    return {
        "data": data,
        "step ms": statistics.median(times["ours"]),
        "products Gflop/s": products / 1e9,
        "convolutions Gflop/s": convolutions / 1e9,
        "roofline ms": roofline,
        "step / roofline": summary([step / roofline for step in times["ours"]]),
        "textbook / step": ratio(times, "textbook", "ours"),
        **shares(calls["ours"], args.rounds),
    }


def best_convolution(data: str, device: torch.device) -> float:
    """The most operations per second of torch's channels-last convolutions: that of an analysis, and wide ones."""
    config = make_config(data)
    channels, side = SHAPES[data]
    shapes = ((channels, config.num_filters, side, config.filter_size), (40, 40, 28, 3), (64, 64, 28, 5))
    return max(convolution_rate(*shape, device) for shape in shapes)


def convolution_rate(channels: int, filters: int, side: int, size: int, device: torch.device) -> float:
    order = torch.channels_last
    images = torch.randn(BATCH_SIZE, channels, side, side, device=device).contiguous(memory_format=order)
    bank = torch.randn(filters, channels, size, size, device=device).contiguous(memory_format=order)
    operations = 2 * F.conv2d(images, bank).numel() * channels * size**2
    call = {"convolution": partial(F.conv2d, images, bank)}
    return operations / (min(alternate(call, device, rounds=11, clock=own_clock(device))["convolution"]) / 1e3)


def shares(step: functools.partial[None], steps: int) -> Row:
    """The shares of a step's time that the functions of the compiled layers take, and the rest."""
    timed = ctypes.CDLL(str(build(SOURCE)))
    seconds = (ctypes.c_double * len(WORK))()
    with patch("lgn_hf.cpu.planes.library", lambda: timed):
        step()  # warms up
        timed.take_seconds(seconds)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        total = (time.perf_counter() - start) * torch.get_num_threads()
    timed.take_seconds(seconds)
    row = {f"{name} %": 100 * each / total for name, each in zip(WORK, seconds, strict=True)}
    return {**row, "rest %": 100 - sum(row.values())}
