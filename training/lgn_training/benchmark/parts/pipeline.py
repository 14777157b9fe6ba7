"""Part `pipeline`: the input pipeline against a training step."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lgn_hf import LGNImageProcessor
from lgn_training.benchmark.contenders import SHAPES, Contender, make_batch, make_config
from lgn_training.benchmark.timing import alternate, medians, ratios
from lgn_training.data import ImageSet
from lgn_training.data.batches import MicroBatch, TrainingBatches
from lgn_training.texts import Row


def pipeline(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """The input pipeline alone, a batch of 128, against a training step"""
    rows = []
    for data in args.data:
        channels, side = SHAPES[data]
        processor = LGNImageProcessor(size={"height": side, "width": side}, num_channels=channels)
        to_pixels = partial(process, processor, device)
        pixels = torch.randint(256, (6400, channels, side, side), dtype=torch.uint8)
        images = ImageSet(pixels, torch.zeros(6400).long())
        contender, batch = Contender.ours(make_config(data), device), make_batch(data, 128, device)
        contenders: dict[str, Callable[[], object]] = {
            "step": partial(contender.step, *batch),
            "kept": partial(next, endless_batches(images, to_pixels, device)),
            "augmented": partial(next, endless_batches(images, to_pixels, device, random_crop=4, random_flip=True)),
        }
        times = alternate(contenders, device, rounds=2 * args.rounds)
        rows.append({"data": data, **medians(times), **ratios(times, ("kept", "step"), ("augmented", "step"))})
    return rows


def process(processor: LGNImageProcessor, device: torch.device, images: Tensor) -> Tensor:
    return processor(images, return_tensors="pt")["pixel_values"].to(device)


def endless_batches(
    images: ImageSet, to_pixels: Callable[[Tensor], Tensor], device: torch.device, **augmentation: Any
) -> Iterator[list[MicroBatch]]:
    """The same epoch again and again, in batches of 128."""
    batches = TrainingBatches(
        images,
        to_pixels,
        batch_size=128,
        accumulation_steps=1,
        seed=0,
        rank=0,
        world_size=1,
        device=device,
        **augmentation,
    )
    while True:
        yield from batches.epoch(0)
