"""How much the actions of two models resemble each other, beside what unrelated actions would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .container import Actions
from .diagnostics import haar, optimal_matching, unit

SAMPLES = 100


@dataclass(frozen=True)
class Distance:
    """`diagnostics.action_distance` of two sets, and its mean and standard deviation where every action of the second
    keeps its singular values and is otherwise drawn at random (groups that share an action still share it)."""

    value: float
    chance: float
    deviation: float

    @property
    def z(self) -> float:
        """(value - chance) / deviation: far below 0 where the sets resemble each other; 0 where chance does not vary."""
        return (self.value - self.chance) / self.deviation if self.deviation > 1e-9 else 0.0


@dataclass(frozen=True)
class Pair:
    """Two actions that were matched: their names in `actions.safetensors`, and the cosine between them."""

    a: str
    b: str
    cosine: float


@dataclass(frozen=True)
class Comparison:
    """whole: of all actions. layers: of each layer that both models have. pairs: of the whole, the closest first."""

    whole: Distance
    layers: dict[int, Distance]
    pairs: list[Pair]


def compare(a: Actions, b: Actions, *, samples: int = SAMPLES, seed: int = 0) -> Comparison:
    """Match the actions of two models to each other, whatever the order of their groups.

    Args:
        a, b: actions on filters of one size.
        samples: random sets that chance is told from.
        seed: of those.

    Raises:
        ValueError: actions on filters of different sizes, or fewer than two samples.

    Example:
        >>> compare(load_actions("user/lgn-mnist"), load_actions("user/lgn-cifar10")).whole.z
        -1.3
    """
    if a.size != b.size:
        raise ValueError(
            f"{a.name or 'the first'} acts on {a.size} x {a.size} filters, {b.name or 'the second'} on {b.size} x "
            f"{b.size}: only actions on filters of one size can be compared"
        )
    if samples < 2:
        raise ValueError(f"samples={samples}: must be at least 2")
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = (actions.matrices.double().flatten(0, 2) for actions in (a, b))
    layers = sorted(set(a.numbers[0]) & set(b.numbers[0]))
    parts = [(slice(None), slice(None)), *((_rows(a, layer), _rows(b, layer)) for layer in layers)]

    def distances(costs: np.ndarray) -> list[float]:
        """Of the whole, then of each layer."""
        return [
            float(part[optimal_matching(part)].mean()) for part in (costs[rows, columns] for rows, columns in parts)
        ]

    costs = _costs(ours, theirs)
    chance = np.array([distances(_costs(ours, _redrawn(theirs, generator))) for _ in range(samples)])
    whole, *of_layers = map(Distance, distances(costs), chance.mean(0).tolist(), chance.std(0, ddof=1).tolist())
    matched = zip(*optimal_matching(costs), strict=True)
    pairs = [Pair(a.keys[i], b.keys[j], float(1 - 2 * costs[i, j] ** 2)) for i, j in matched]
    return Comparison(whole, dict(zip(layers, of_layers, strict=True)), sorted(pairs, key=lambda pair: -pair.cosine))


def _rows(actions: Actions, layer: int) -> slice:
    """Where the actions of a layer are among all."""
    count = len(actions) // len(actions.numbers[0])
    start = list(actions.numbers[0]).index(layer) * count
    return slice(start, start + count)


def _costs(a: Tensor, b: Tensor) -> np.ndarray:
    """||A - B||_F / 2 at unit norm, as in `action_distance`: (M, d, d) and (N, d, d) to (M, N)."""
    rows, columns = (unit(matrices).flatten(1) for matrices in (a, b))
    return (torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist") / 2).numpy()


def _redrawn(matrices: Tensor, generator: torch.Generator) -> Tensor:
    """U S V^T of each, with its own singular values S and U, V Haar orthogonal; copies of a matrix stay copies."""
    noise = torch.randn(2, *matrices.shape, dtype=torch.float64, generator=generator)
    which = matrices.flatten(1).unique(dim=0, return_inverse=True)[1]
    first = (which[:, None] == which).int().argmax(1)
    u, v = haar(noise[:, first])
    return (u * torch.linalg.svdvals(matrices)[:, None, :]) @ v.mT
