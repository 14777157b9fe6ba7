"""Batches of one split: shuffled, augmented and processed images on the device, divided alike for every process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lgn_hf import LGNImageProcessor
from lgn_training.data.image_sets import ImageSet
from lgn_training.data.seeds import epoch_indices, seeded_generator
from lgn_training.data.transforms import augment
from lgn_training.engine.processes import SharedError

CACHE_BYTES = (
    4 << 30
)  # up to this size all images are processed once and kept; beyond it, each batch is processed when it comes


@dataclass
class MicroBatch:
    """What one backward pass of one process sees.

    `weight` corrects for uneven parts: `weight` * mean loss, summed over accumulation steps and averaged over processes, is
    the mean loss over the global batch. `image_weights` (B,) multiply the losses of the images, if classes are balanced.
    """

    pixel_values: Tensor
    labels: Tensor | None
    weight: float
    image_weights: Tensor | None = None


class TrainingBatches:
    """The training images in batches that every process derives from (seed, epoch, position) alone.

    They have no state: a run that resumes at batch b of epoch e sees what it would have seen. How an image is augmented
    also depends on the process and the accumulation step that it falls to.

    Args:
        images: the training split.
        to_pixels: uint8 images (B, C, H, W) to `pixel_values` (B, C, H, W), on `device`.
        batch_size: images per process and backward pass.
        accumulation_steps: backward passes per optimiser step.
        balance_classes: weight the images so that all classes have the same weight.
    """

    def __init__(
        self,
        images: ImageSet,
        to_pixels: Callable[[Tensor], Tensor],
        *,
        batch_size: int,
        accumulation_steps: int,
        seed: int,
        rank: int,
        world_size: int,
        device: torch.device,
        random_crop: int = 0,
        random_flip: bool = False,
        cutout: int = 0,
        balance_classes: bool = False,
    ):
        self.images, self.to_pixels, self.seed, self.device = images, to_pixels, seed, device
        self.accumulation_steps, self.rank, self.world_size = accumulation_steps, rank, world_size
        self.augmentation = {"random_crop": random_crop, "random_flip": random_flip, "cutout": cutout}
        self.global_batch_size = batch_size * accumulation_steps * world_size
        whole, rest = divmod(len(images), self.global_batch_size)
        # The last batch is left out if it cannot give every process an image.
        self.steps_per_epoch = whole + (rest >= accumulation_steps * world_size)
        if self.steps_per_epoch == 0:
            raise SharedError(
                f"{len(images)} training images are too few for {world_size} processes with "
                f"{accumulation_steps} accumulation steps each"
            )
        self.labels = None if images.labels is None else images.labels.to(device)
        self.image_weights = balanced_weights(self.labels) if balance_classes and self.labels is not None else None
        self.pixels = None
        if not self.augments and images.images.numel() * 4 <= CACHE_BYTES:
            self.pixels = torch.cat([to_pixels(chunk) for chunk in images.images.split(1000)])

    @property
    def augments(self) -> bool:
        return any(self.augmentation.values())

    def epoch(self, epoch: int, first: int = 0) -> Iterator[list[MicroBatch]]:
        """This process's part of each batch of an epoch, starting at batch `first`."""
        order = epoch_indices(len(self.images), seed=self.seed, epoch=epoch)
        for step in range(first, self.steps_per_epoch):
            batch = order[step * self.global_batch_size : (step + 1) * self.global_batch_size]
            own = batch.tensor_split(self.world_size)[self.rank]
            generator = seeded_generator(self.seed, epoch, step, self.rank)
            yield [
                MicroBatch(
                    self._pixel_values(part, generator),
                    _at(self.labels, part),
                    len(part) * self.world_size / len(batch),
                    _at(self.image_weights, part),
                )
                for part in own.tensor_split(self.accumulation_steps)
            ]

    def _pixel_values(self, indices: Tensor, generator: torch.Generator) -> Tensor:
        if self.pixels is not None:
            return self.pixels[indices.to(self.device)]
        images = self.images.images[indices]
        if self.augments:
            images = augment(images, generator, **self.augmentation)
        return self.to_pixels(images)


def balanced_weights(labels: Tensor) -> Tensor:
    """The weight of each image, N / (K n), where n of the N images have its class, one of K.

    The weights of each class sum to N / K, as for `class_weight="balanced"` in scikit-learn.

    Args:
        labels: (N,), int64.

    Returns:
        (N,), float32.

    Example:
        >>> balanced_weights(torch.tensor([0, 0, 0, 2]))
        tensor([0.6667, 0.6667, 0.6667, 2.0000])
    """
    counts = labels.bincount()
    return (len(labels) / ((counts > 0).sum() * counts))[labels].float()


def _at(values: Tensor | None, indices: Tensor) -> Tensor | None:
    return None if values is None else values[indices.to(values.device)]


def total_steps(num_train_epochs: float, max_steps: int, steps_per_epoch: int) -> int:
    """Optimiser steps of a whole run."""
    return max_steps if max_steps > 0 else math.ceil(num_train_epochs * steps_per_epoch)


def device_pixels(processor: LGNImageProcessor, device: torch.device, images: Tensor) -> Tensor:
    """uint8 images (B, C, H, W) to `pixel_values` (B, C, H, W) on `device`."""
    return processor.pixel_values(images.to(device))
