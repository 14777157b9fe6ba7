"""Images made of filters that are orbits of a known action."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from lgn_hf.actions import corner_swap, cycles, shift
from lgn_hf.model.filters import rotation_matrix, unit_norm, unvec, vec
from lgn_training.data.seeds import seeded_generator

SIZE = 4  # pixels, the side of filters and images
DIM = SIZE**2
LEAST, MOST = 0.5, 1.5  # the range of the code entries that are not zero
ORDERS = {"rotation": (2, 4), "shift": (SIZE,), "corner_swap": (2,), "random": tuple(range(2, DIM + 1))}


@dataclass(frozen=True)
class Setting:
    """What is planted, K groups of order p in C channels that share one action, and how much of it is seen.

    noise: standard deviation, relative to that of the clean images. rate: share of the code entries that are not zero.
    """

    symmetry: str = "random"
    num_groups: int = 3
    group_order: int = 4
    num_channels: int = 1
    noise: float = 0.0
    images: int = 4096
    rate: float = 0.15


@dataclass(frozen=True)
class Planted:
    """generator: A, (d, d). filters: its orbits, (K, p, C, n, n). images: (N, C, n, n). All float32."""

    generator: Tensor
    filters: Tensor
    images: Tensor

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.images.numpy().data).hexdigest()


def planted_action(symmetry: str, order: int, generator: torch.Generator) -> Tensor:
    """A known orthogonal A with A^p = I: (d, d), float64.

    rotation: by 360/p degrees. shift: columns move right by one, the last becomes the first. corner_swap: Proposition 1.
    random: S P S^T with S orthogonal and P the shift by one within cycles of p coordinates.

    Raises:
        ValueError: the symmetry is not in ORDERS, or has another order.
    """
    if symmetry not in ORDERS:
        raise ValueError(f"symmetry={symmetry!r}: must be one of " + ", ".join(ORDERS))
    if order not in ORDERS[symmetry]:
        raise ValueError(f"group_order={order}: {symmetry} has order " + " or ".join(map(str, ORDERS[symmetry])))
    if symmetry == "rotation":
        return rotation_matrix(SIZE, 360 / order)
    if symmetry == "shift":  # a shift of rows would be the P near which a `cyclic` action of order n starts
        return shift(SIZE, 0, 1, cyclic=True)
    if symmetry == "corner_swap":
        return corner_swap(SIZE)
    basis = torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64, generator=generator)).Q
    return basis @ cycles(DIM, order, 1) @ basis.T


def plant(setting: Setting, seed: int) -> Planted:
    """Images x = D z + noise: D the orbits of random basis filters of unit norm, z sparse and positive."""
    generator = seeded_generator(seed)
    action = planted_action(setting.symmetry, setting.group_order, generator)
    shape = (setting.num_groups, setting.num_channels, SIZE, SIZE)
    vectors = vec(unit_norm(torch.randn(shape, dtype=torch.float64, generator=generator)))
    powers = [torch.linalg.matrix_power(action, i) for i in range(setting.group_order)]
    filters = unvec(torch.stack([vectors @ power.T for power in powers], dim=1), SIZE).float()

    shape = (setting.images, setting.num_groups * setting.group_order)
    active = torch.rand(shape, generator=generator) < setting.rate
    code = active * (LEAST + (MOST - LEAST) * torch.rand(shape, generator=generator))
    images = torch.einsum("nf,fchw->nchw", code, filters.flatten(0, 1))
    noise = torch.randn(images.shape, generator=generator)
    return Planted(action.float(), filters, images + setting.noise * images.std() * noise)
