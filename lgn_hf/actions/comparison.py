"""Sets of actions compared: how much they resemble each other, whatever the order of their groups, and beside chance.

- `action_distance`: the distance of two sets of matrices;
- `compare`: the actions of two models, by layer and in all, beside what unrelated actions would give;
- `permutation_test`: whether sets with the same label (a data set, a task) resemble each other more
  than others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .chance import haar
from .container import Actions
from .matrices import checked, distance, shape_text, unit

SAMPLES = 100


def action_distance(a: Tensor, b: Tensor) -> float:
    """How different two sets of actions are, whatever the order of groups and the scale of each action.

    The mean of ||A - B||_F / 2 over the matched actions at unit norm. The smaller set is matched
    into the larger one so that this mean is smallest (`scipy.optimize.linear_sum_assignment`). It
    is 0 for the same sets and near 0.71 for unrelated ones. The sign counts: -A makes another orbit
    than A.

    Shapes: (M, d, d) and (N, d, d).

    Raises:
        ValueError: a set is empty, or the sets act on different filters.

    Example:
        >>> a = torch.stack([torch.eye(4), torch.eye(4).flip(0)])
        >>> action_distance(a, 3 * a.flip(0))
        0.0
    """
    a, b = checked(a), checked(b)
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:] or not len(a) or not len(b):
        raise ValueError(
            f"sets of actions are (M, d, d) and (N, d, d) of the same d, got {shape_text(a)} and {shape_text(b)}"
        )
    costs = distance(unit(a).flatten(1) @ unit(b).flatten(1).T).cpu().numpy()
    return float(costs[_matching(costs)].mean())


@dataclass(frozen=True)
class Distance:
    """The `action_distance` of two sets, beside chance.

    Attributes:
        value: the distance.
        chance, deviation: its mean and standard deviation if each action of the second set keeps
            its singular values and is otherwise drawn at random. Groups that share an action still
            share it.
    """

    value: float
    chance: float
    deviation: float

    @property
    def z(self) -> float:
        """(value - chance) / deviation: far below 0 if the sets resemble each other; 0 if chance does not vary."""
        return (self.value - self.chance) / self.deviation if self.deviation > 1e-9 else 0.0


@dataclass(frozen=True)
class Pair:
    """Two matched actions: their names in `actions.safetensors`, and the cosine <A, B> / (||A|| ||B||) between them."""

    a: str
    b: str
    cosine: float


@dataclass(frozen=True)
class Comparison:
    """How much the actions of two models resemble each other.

    Attributes:
        whole: the distance of all actions.
        layers: the distance of the actions of each layer that both models have.
        pairs: the matched actions of the whole, the most similar first.
    """

    whole: Distance
    layers: dict[int, Distance]
    pairs: list[Pair]


def compare(a: Actions, b: Actions, *, samples: int = SAMPLES, seed: int = 0) -> Comparison:
    """Match the actions of two models to each other, whatever the order of their groups.

    Args:
        a, b: actions on filters of the same size.
        samples: random sets that estimate chance.
        seed: of the random sets.

    Raises:
        ValueError: the actions act on filters of different sizes, or there are fewer than two
            samples.

    Example:
        >>> from lgn_hf import load_actions
        >>> actions = load_actions("model_cards/lgn-mnist")
        >>> found = compare(actions, actions, samples=10)
        >>> found.whole.value, found.whole.z < -5, len(found.pairs) == len(actions)
        (0.0, True, True)
    """
    if a.size != b.size:
        raise ValueError(
            f"{a.name or 'the first'} acts on {a.size} x {a.size} filters, {b.name or 'the second'} on {b.size} x "
            f"{b.size}: only actions on filters of the same size can be compared"
        )
    if samples < 2:
        raise ValueError(f"samples={samples}: must be at least 2")
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = (actions.matrices.double().flatten(0, 2) for actions in (a, b))
    layers = sorted(set(a.numbers[0]) & set(b.numbers[0]))
    parts = [(slice(None), slice(None)), *((_rows(a, layer), _rows(b, layer)) for layer in layers)]

    def distances(costs: np.ndarray) -> list[float]:
        """Of the whole, then of each layer."""
        return [float(part[_matching(part)].mean()) for part in (costs[rows, columns] for rows, columns in parts)]

    costs = _costs(ours, theirs)
    chance = np.array([distances(_costs(ours, _redrawn(theirs, generator))) for _ in range(samples)])
    whole, *by_layer = map(Distance, distances(costs), chance.mean(0).tolist(), chance.std(0, ddof=1).tolist())
    matched = zip(*_matching(costs), strict=True)
    pairs = [Pair(a.keys[i], b.keys[j], float(1 - 2 * costs[i, j] ** 2)) for i, j in matched]
    return Comparison(whole, dict(zip(layers, by_layer, strict=True)), sorted(pairs, key=lambda pair: -pair.cosine))


def permutation_test(
    sets: Sequence[Tensor], labels: Sequence[Any], *, permutations: int = 9999, seed: int = 0
) -> dict[str, float | int]:
    """Do sets of actions with the same label (a data set, a task) resemble each other more than sets with different ones?

    The statistic is the mean `action_distance` between sets of different labels minus the mean
    between sets of the same label. Its p-value is the share of random relabellings with a statistic
    at least as large; the given labelling counts as one of them.

    Args:
        sets: the actions of each model, (M, d, d) each. M must be the same for all sets: a larger
            set offers more actions to match, so it is nearer to any other set, and sets of
            different sizes cannot be relabelled.
        labels: one per set; at least two different labels, and one label used twice.
        permutations: random relabellings.
        seed: of the relabellings.

    Returns:
        {statistic, p_value, permutations}

    Raises:
        ValueError: the sets have different sizes, the labels leave nothing to compare, or
            `permutations` is below 1.
    """
    names = list(dict.fromkeys(labels))
    if len(sets) != len(labels) or not 1 < len(names) < len(labels):
        raise ValueError(
            "each set needs a label, with at least two different labels and one label used twice; "
            f"got {len(sets)} sets labelled {list(labels)}"
        )
    if len({len(actions) for actions in sets}) > 1:
        raise ValueError(f"all sets must hold the same number of actions, got {', '.join(map(shape_text, sets))}")
    if permutations < 1:
        raise ValueError(f"permutations={permutations}: must be at least 1")
    first, second = torch.triu_indices(len(sets), len(sets), offset=1)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    distances = torch.tensor([action_distance(sets[i], sets[j]) for i, j in pairs], dtype=torch.float64)

    def statistic(labels: Tensor) -> Tensor:
        """(P, sets) to (P,)."""
        same = (labels[:, first] == labels[:, second]).double()
        return ((1 - same) @ distances) / (1 - same).sum(1) - (same @ distances) / same.sum(1)

    given = torch.tensor([names.index(label) for label in labels])
    shuffles = torch.rand(permutations, len(sets), generator=torch.Generator().manual_seed(seed)).argsort(1)
    value = statistic(given[None])
    as_large = int((statistic(given[shuffles]) >= value - 1e-12).sum())
    return {
        "statistic": float(value),
        "p_value": (1 + as_large) / (1 + permutations),
        "permutations": permutations,
    }


def _matching(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows and columns, min(M, N) of each, with the least total cost."""
    from scipy.optimize import linear_sum_assignment  # takes 0.4 s, which only those who compare need to spend

    return linear_sum_assignment(costs)


def _rows(actions: Actions, layer: int) -> slice:
    """The places of a layer's actions among all."""
    count = len(actions) // len(actions.numbers[0])
    start = list(actions.numbers[0]).index(layer) * count
    return slice(start, start + count)


def _costs(a: Tensor, b: Tensor) -> np.ndarray:
    """||A - B||_F / 2 at unit norm, as in `action_distance`: (M, d, d) and (N, d, d) to (M, N)."""
    rows, columns = (unit(matrices).flatten(1) for matrices in (a, b))
    return (torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist") / 2).numpy()


def _redrawn(matrices: Tensor, generator: torch.Generator) -> Tensor:
    """U S V^T for each matrix, with its singular values S and U, V Haar orthogonal; copies of a matrix stay copies."""
    noise = torch.randn(2, *matrices.shape, dtype=torch.float64, generator=generator)
    which = matrices.flatten(1).unique(dim=0, return_inverse=True)[1]
    first = (which[:, None] == which).int().argmax(1)
    u, v = haar(noise[:, first])
    return (u * torch.linalg.svdvals(matrices)[:, None, :]) @ v.mT
