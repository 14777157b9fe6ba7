"""How much of a planted group a network has found.

Every measure is 1 if the group is found, whatever scale and generator of it, and wherever its orbits begin.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lgn_hf import LGNForImageReconstruction
from lgn_hf.model.filters import vec
from lgn_training.experiments.planted_images import Planted


def generators_of(order: int) -> list[int]:
    """The powers of A that generate the same cyclic group of order p: those coprime to p."""
    return [power for power in range(1, order) if math.gcd(power, order) == 1]


def cosine(a: Tensor, b: Tensor, dims: int | tuple[int, ...] = -1) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, dim=dims)

    return (a * b).sum(dims) / (norm(a) * norm(b)).clamp_min(torch.finfo(a.dtype).tiny)


def orbit_agreement(nearest: Tensor, order: int) -> float:
    """The share of neighbours in a found orbit that are one generator step apart in a planted orbit; mean over orbits.

    Args:
        nearest: (K, p), the index k*p + i of the planted filter that each found filter resembles most.
    """
    group, power = nearest // order, nearest % order
    together = group[:, 1:] == group[:, :-1]
    steps = (power[:, 1:] - power[:, :-1]) % order
    shares = [(together & (steps == step)).float().mean(1) for step in generators_of(order)]
    return float(torch.stack(shares).amax(0).mean())


@torch.no_grad()
def recovery(network: LGNForImageReconstruction, planted: Planted) -> dict[str, float | None]:
    """How much of the planted group a network holds. A network of free filters has `filters` alone.

    filters: cosine of each planted filter with the most similar found one; mean.
    orbits: `orbit_agreement`.
    generator: cosine <A, B> / (|A| |B|) of a found generator A with the most similar generator B of the planted group;
        mean over groups.
    best generator: the same for the best group.
    on orbits: cosine between A f_i and f_{i+s}, for the planted orbit and step s that suit A best; mean over groups. It
        includes the step from the last filter back to the first, which reconstruction does not see.
    closing: cosine between A^p W and W of the found orbits; 1 if they close as those of a cyclic group do.
    """
    bank = vec(network.filter_bank()[-1])  # (K, p, C, d)
    orbits = vec(planted.filters)
    groups, order = orbits.shape[:2]
    alike = cosine(bank.flatten(2).flatten(0, 1)[:, None], orbits.flatten(2).flatten(0, 1))  # (found, planted)
    filters = float(alike.amax(0).mean())
    if bank.shape[1] == 1:
        names = ("orbits", "generator", "best generator", "on orbits", "closing")
        return {"filters": filters, **dict.fromkeys(names)}

    found = network.group_actions()[-1, :, 0]  # (K, d, d)
    powers = [torch.linalg.matrix_power(planted.generator, step) for step in generators_of(order)]
    to_planted = torch.stack([cosine(found, power, (-2, -1)) for power in powers]).amax(0)
    images = torch.einsum("kij,gpcj->kgpci", found, orbits)
    steps = [cosine(images, orbits.roll(-step, dims=1)).mean((-2, -1)) for step in generators_of(order)]
    closing = torch.einsum("kij,kcj->kci", found, bank[:, -1])
    return {
        "filters": filters,
        "orbits": orbit_agreement(alike.argmax(1).view(groups, order), order),
        "generator": float(to_planted.mean()),
        "best generator": float(to_planted.max()),
        "on orbits": float(torch.stack(steps).amax(0).amax(1).mean()),
        "closing": float(cosine(closing, bank[:, 0]).mean()),
    }


@torch.no_grad()
def unexplained(network: LGNForImageReconstruction, images: Tensor) -> float:
    """The share of the images' energy that the reconstruction misses."""
    return float(network(images).task_loss / images.square().mean())
