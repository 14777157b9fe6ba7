"""Can a known symmetry be found again? Images made of filters that are orbits of a known action, a network trained to
reconstruct them, and how much of the action and of its orbits the network has found.

Images are as large as filters (the papers' dense networks), so that where a filter lies is no question, and thresholds
are held: reconstruction alone trains them towards 0, and codes that are not sparse need no particular filters.

What can be found at all: a free A is seen only through the orbit of its own basis filter, W, AW, ..., A^{p-1}W, that is
in p - 1 of d directions, and *any* p independent filters in *any* order are the orbit of some A. So nothing but
projection and regularizer speaks for the planted orbits, unless channels share an action and C (p - 1) > d.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lgn_hf import LGNConfig, LGNForImageReconstruction
from lgn_hf.actions import corner_swap, cycles, shift
from lgn_hf.model.filters import rotation_matrix, unit_norm, unvec, vec
from lgn_training.arguments import RunArguments
from lgn_training.fitting import fit
from lgn_training.transforms import seeded_generator

SIZE = 4  # pixels, the side of filters and images
DIM = SIZE**2
RATE, LEAST, MOST = 0.15, 0.5, 1.5  # share of code entries that are not zero, and how strong those are
LAYERS, STEP_SIZE, THRESHOLD = (
    8,
    0.2,
    0.1,
)  # longer and more steps than the papers', whose codes are far from converged
ORDERS = {"rotation": (2, 4), "shift": (SIZE,), "corner_swap": (2,), "random": tuple(range(2, DIM + 1))}
NETWORKS = (  # action, regularizer; "free": as many filters without groups, what the data alone gives away
    ("free", "none"),
    ("learned", "none"),
    ("learned", "inverse"),
    ("learned", "logdet"),
    ("learned", "nuclear"),
    ("cyclic", "none"),
)
UNTRAINED = 20  # networks for the baseline

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What is planted: K groups of order p in C channels, which all share one action; and how much of it is seen.

    noise: standard deviation, relative to that of the clean images.
    """

    symmetry: str = "random"
    num_groups: int = 3
    group_order: int = 4
    num_channels: int = 1
    noise: float = 0.0
    images: int = 4096


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

    rotation: by 360/p degrees. shift: all columns move right by one, the last comes in first. corner_swap: Proposition 1.
    random: S P S^T with S orthogonal and P the shift by one within cycles of p coordinates.

    Raises:
        ValueError: there is no such symmetry, or it has another order.
    """
    if symmetry not in ORDERS:
        raise ValueError(f"symmetry={symmetry!r}: must be one of " + ", ".join(ORDERS))
    if order not in ORDERS[symmetry]:
        raise ValueError(f"group_order={order}: {symmetry} has order " + " or ".join(map(str, ORDERS[symmetry])))
    if symmetry == "rotation":
        return rotation_matrix(SIZE, 360 / order)
    if symmetry == "shift":  # of rows, it would be the P that a `cyclic` action of order n starts near
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
    active = torch.rand(shape, generator=generator) < RATE
    code = active * (LEAST + (MOST - LEAST) * torch.rand(shape, generator=generator))
    images = torch.einsum("nf,fchw->nchw", code, filters.flatten(0, 1))
    noise = torch.randn(images.shape, generator=generator)
    return Planted(action.float(), filters, images + setting.noise * images.std() * noise)


def make_network(setting: Setting, action: str, regularizer: str) -> LGNForImageReconstruction:
    """A network of the planted geometry whose decoder is its own orbits, so that nothing else can explain the images."""
    if action == "free":
        filters = setting.num_groups * setting.group_order
        return make_network(replace(setting, num_groups=filters, group_order=1), "learned", "none")
    config = LGNConfig(
        image_size=SIZE,
        num_channels=setting.num_channels,
        num_groups=setting.num_groups,
        group_order=setting.group_order,
        num_layers=LAYERS,
        filter_size=SIZE,
        padding=0,
        step_size=STEP_SIZE / setting.num_channels,  # a filter's norm is the square root of C
        tied=True,
        action=action,
        action_sharing="group",
        regularizer=regularizer,
        projection="rms",
        pool_size=1,
        decoder="tied",
    )
    network = LGNForImageReconstruction(config)
    torch.nn.init.constant_(network.lgn.threshold.requires_grad_(False), THRESHOLD)
    return network


@torch.no_grad()
def start_at(network: LGNForImageReconstruction, planted: Planted) -> None:
    """Give a `learned` network the planted action and basis filters."""
    network.lgn.basis.copy_(planted.filters[:, 0])
    network.lgn.get_parameter("action.weight").copy_(planted.generator)
    if network.lgn.auxiliary_inverses is not None:
        network.lgn.auxiliary_inverses.copy_(planted.generator.T)


# Recovery: 1 where the planted group is found, whatever scale and generator of it, and wherever its orbits begin


def generators_of(order: int) -> list[int]:
    """The powers of A that generate the same cyclic group of order p: those without a divisor in common with p."""
    return [power for power in range(1, order) if math.gcd(power, order) == 1]


def cosine(a: Tensor, b: Tensor, dims: int | tuple[int, ...] = -1) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, dim=dims)

    return (a * b).sum(dims) / (norm(a) * norm(b)).clamp_min(torch.finfo(a.dtype).tiny)


def orbit_agreement(nearest: Tensor, order: int) -> float:
    """The share of neighbours in a found orbit that are as far apart in one planted orbit; mean over found orbits.

    Args:
        nearest: (K, p), the planted filter k*p + i that each found filter is most like.
    """
    group, power = nearest // order, nearest % order
    together = group[:, 1:] == group[:, :-1]
    steps = (power[:, 1:] - power[:, :-1]) % order
    shares = [(together & (steps == step)).float().mean(1) for step in generators_of(order)]
    return float(torch.stack(shares).amax(0).mean())


@torch.no_grad()
def recovery(network: LGNForImageReconstruction, planted: Planted) -> dict[str, float | None]:
    """How much of what was planted a network holds; a network of free filters has nothing but filters.

    filters: cosine of each planted filter with its likest found one; mean.
    orbits: `orbit_agreement`.
    generator: cosine <A, B> / (|A| |B|) of a found generator A with the likest generator B of the planted group; mean
        over groups.
    best generator: the same of the best group.
    on orbits: cosine between A f_i and f_{i+s} along the planted orbit and step s that suit A best, the way from the
        last filter back to the first included, which no reconstruction sees; mean over groups.
    closing: cosine between A^p W and W of the found orbits; 1 where they close as those of a cyclic group.
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


def search(
    setting: Setting, action: str, regularizer: str, *, steps: int, seed: int, start: str = "random"
) -> tuple[Row, str]:
    """Plant, train, compare.

    Args:
        start: `random`, or `planted`: from the truth, to tell what training cannot find from what it does not keep.

    Returns:
        A row of the table, where `chance` is the mean of untrained networks, and the fingerprint of the images.
    """
    planted = plant(setting, seed)
    torch.manual_seed(seed)
    untrained = [recovery(make_network(setting, action, regularizer), planted) for _ in range(UNTRAINED)]
    network = make_network(setting, action, regularizer)
    if start == "planted":
        start_at(network, planted)
    fit(
        network,
        lambda batch: network(planted.images[batch]).loss,
        len(planted.images),
        steps=steps,
        args=RunArguments(seed=seed),
        name=f"{setting.symmetry}, {action}",
    )
    found = recovery(network, planted)
    compared = {
        name: None
        if value is None
        else {"found": value, "chance": sum(chance[name] or 0.0 for chance in untrained) / UNTRAINED}
        for name, value in found.items()
    }
    row = {
        "symmetry": setting.symmetry,
        "K": setting.num_groups,
        "p": setting.group_order,
        "C": setting.num_channels,
        "noise": setting.noise,
        "images": setting.images,
        "action": action,
        "regularizer": regularizer,
        "start": start,
        "unexplained": unexplained(network, planted.images),
        **compared,
    }
    return row, planted.fingerprint
