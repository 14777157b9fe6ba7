"""Random choices that depend on given numbers alone, so that every process and every resumed run makes the same ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def seeded_generator(*key: int) -> torch.Generator:
    """A CPU generator that depends on every non-negative integer of `key`, and on nothing else."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def epoch_indices(num_images: int, *, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the images: a permutation, (num_images,), int64."""
    return torch.randperm(num_images, generator=seeded_generator(seed, epoch))
