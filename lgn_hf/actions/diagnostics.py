"""What a learned action is: structure scores, cyclicity and the nearest known operation, each against a null.

All functions take d x d matrices (..., d, d) and compute in float64. A score is in [0, 1], is 1 for matrices that have the
structure exactly, and does not depend on the scale of the matrix. What a score means is told by its z-score against
random matrices (`NULL`); d = n*n, and an n x n block relates one column of the filter to another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .operations import LARGEST_SIZE, Operation, known_operations

MAX_ORDER = 24
NEAREST = "nearest"  # among the names of scores, the nearest known operation
NULL = {
    "scores": "the same score for U S V^T, with S the singular values of the action and U, V Haar orthogonal",
    "orthogonality": "which is the same for all those: here Gaussian matrices",
    "nearest": "the largest |correlation| of a Gaussian matrix with any operation of the same name",
    "z": "(value - mean of the null) / standard deviation of the null",
    "label": "z of more than 5 and a value above the threshold of `lgn_hf.actions.diagnostics.THRESHOLDS`",
}
MIN_Z = 5.0
# More than half of the energy, or, where random matrices have about half already, half of the rest. A correlation of
# 0.71 is half of the energy too.
THRESHOLDS = {
    "nearest": 0.5**0.5,
    "cyclicity": 0.5,
    "circulant": 0.5,
    "toeplitz": 0.5,
    "block_toeplitz": 0.5,
    "skew_symmetry": 0.75,
    "multi_scale": 0.5,
    "block_concentration": 0.5,
    "orthogonality": 0.75,
}
# A special structure is named rather than a general one that contains it where it explains this share of what that does.
NESTED = 0.95
MIN_LEVEL = 0.1  # share of energy that each of the two levels of a multi-scale matrix has at least


# Structures


def skew_symmetry(matrices: Tensor) -> Tensor:
    """Share of energy of the skew-symmetric part, ||(A - A^T)/2||^2 / ||A||^2: about a half for random matrices.

    Shapes: (..., d, d) to (...), as for all scores.
    """
    matrices = _checked(matrices)
    return _share(torch.linalg.matrix_norm(matrices - matrices.mT).square() / 4, matrices)


def toeplitz(matrices: Tensor) -> Tensor:
    """Share of energy of the projection on Toeplitz matrices, A[i, j] = t[i - j]."""
    return _explained(matrices, "toeplitz")


def circulant(matrices: Tensor) -> Tensor:
    """Share of energy on the diagonal of F A F^-1, F the d-point DFT (appendix D).

    F is unitary up to scale, so this is the share of the projection on circulant matrices, A[i, j] = c[i - j mod d].
    """
    return _explained(matrices, "circulant")


def block_toeplitz(matrices: Tensor) -> Tensor:
    """Share of energy of the projection on convolutions: block Toeplitz matrices with Toeplitz n x n blocks, whose
    entry from pixel (k, l) to pixel (i, j) is t[i - k, j - l]. Toeplitz matrices are among them."""
    return _explained(matrices, "block_toeplitz")


def multi_scale(matrices: Tensor) -> Tensor:
    """Share of energy of the n x n blocks' means: what is left of A when details within blocks are averaged away.

    It is the sum of the two levels of `scale_levels`.
    """
    return _explained(matrices, "block")


def scale_levels(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of energy at the two scales of section 5.1: of the four quadrants' means, and of the blocks' means beyond.

    A quadrant is made of whole blocks (ceil(n/2) of n a side are the first half); the sign of its mean is its "dominant sign
    signature".
    """
    quadrants, blocks = _explained(matrices, "quadrant"), _explained(matrices, "block")
    return quadrants, (blocks - quadrants).clamp_min(0)


def block_concentration(matrices: Tensor) -> Tensor:
    """How much of the energy is in few n x n blocks (figure 7): (s - 1/n) / (1 - 1/n) with s the share of the n strongest
    of the n^2 blocks; 0 where all are equally strong, 1 where no other is left."""
    matrices = _checked(matrices)
    size = _side(matrices)
    if size == 1:
        return matrices.new_zeros(matrices.shape[:-2])
    blocks = matrices.unflatten(-1, (size, size)).unflatten(-3, (size, size)).square().sum((-3, -1)).flatten(-2)
    share = _share(blocks.topk(size).values.sum(-1), matrices)
    return ((share - 1 / size) / (1 - 1 / size)).clamp(0, 1)


def orthogonality(matrices: Tensor) -> Tensor:
    """1 - min_s ||A - s Q||_F / ||A||_F, Q = U V^T the polar factor of A: one minus the relative distance to the nearest
    multiple of an orthogonal matrix. About a half for Gaussian matrices."""
    return _orthogonality(torch.linalg.svdvals(_checked(matrices)))


def _orthogonality(singular_values: Tensor) -> Tensor:
    # A - s Q has the singular values |sigma_i - s|, and the best s is their mean.
    distance = (singular_values - singular_values.mean(-1, keepdim=True)).square().mean(-1).sqrt()
    norm = singular_values.square().mean(-1).sqrt()
    return torch.where(norm > 0, 1 - distance / _positive(norm), 0.0)


# Cyclicity


def cyclic_residuals(matrices: Tensor, max_order: int = MAX_ORDER) -> Tensor:
    """How far each power is from the identity once its scale is removed: min_{c >= 0} ||A^q - c I||_F / ||A^q||_F.

    0 where A^q = c I, 1 where A^q has nothing of the identity (or too much of -I, as then A^{2q} is the one).

    Shapes: (..., d, d) to (..., max_order), q = 1 first.
    """
    dim = matrices.shape[-1]

    def residual(power: Tensor) -> Tensor:
        scale = power.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(0)  # the best c
        share = dim**0.5 * scale / _positive(torch.linalg.matrix_norm(power))  # cosine of the angle to I
        return (1 - share.square()).clamp_min(0).sqrt()

    return torch.stack([residual(power) for power in _powers(_checked(matrices), max_order)], dim=-1)


def _powers(matrices: Tensor, count: int) -> Iterator[Tensor]:
    """A, A^2, ..., A^count of A at unit norm, against overflow."""
    first = power = unit(matrices)
    for i in range(count):
        yield power
        if i + 1 < count:
            power = power @ first


def cyclicity(matrices: Tensor) -> Tensor:
    """1 - min_q cyclic residual, q = 1..24. The identity is cyclic, of order 1: see `cyclic_order`."""
    return 1 - cyclic_residuals(matrices).amin(-1)


def cyclic_order(residuals: Tensor) -> Tensor:
    """The q of the smallest residual, the first of several: (..., max_order) to (...), integers from 1.

    1 says that A is nearest to a cyclic group in being nearly the identity.
    """
    best = residuals.amin(-1, keepdim=True)
    return (residuals <= best + 1e-6).int().argmax(-1) + 1


def power_separation(matrices: Tensor, order: int) -> Tensor:
    """How far the elements I, A, ..., A^{p-1} of the group stay apart: the smallest `_distance` of any two of them.

    0 where two are proportional, as when an orbit has collapsed to the leading eigenvector; 0.71 where those that are
    nearest to each other are orthogonal, as the powers of a cyclic shift. 1 for the group of order 1.

    Shapes: (..., d, d) to (...).
    """
    matrices = _checked(matrices)
    if order == 1:
        return matrices.new_ones(matrices.shape[:-2])
    eye = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device).expand_as(matrices)
    elements = torch.stack([eye, *_powers(matrices, order - 1)], dim=-3)
    elements = unit(elements).flatten(-2)
    rows, columns = torch.triu_indices(order, order, offset=1)
    return _distance((elements @ elements.mT)[..., rows, columns].amax(-1))


def _distance(cosines: Tensor) -> Tensor:
    """||A - B||_F / 2 of matrices of unit norm: 0 for the same up to scale, 0.71 for orthogonal ones, 1 for opposite ones."""
    return ((1 - cosines) / 2).clamp_min(0).sqrt()


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "skew_symmetry": skew_symmetry,
    "toeplitz": toeplitz,
    "block_toeplitz": block_toeplitz,
    "circulant": circulant,
    "multi_scale": multi_scale,
    "block_concentration": block_concentration,
    "orthogonality": orthogonality,
    "cyclicity": cyclicity,
}


def scores(matrices: Tensor) -> dict[str, Tensor]:
    """Every score of every matrix: (..., d, d), d a square, to (...) each.

    Example:
        >>> scores(torch.eye(36))["circulant"]
        tensor(1., dtype=torch.float64)
    """
    return {name: score(matrices) for name, score in SCORES.items()}


# Nearest known operations


def nearest(
    matrices: Tensor, size: int, top: int = 3, *, null_samples: int = 200, seed: int = 0
) -> list[list[dict[str, Any]]]:
    """The best operation of each of the `top` best families of `known_operations`, best first, for each matrix.

    The correlation is <A, B> / (||A|| ||B||), negative where -B is meant; z is that of its absolute value against the
    largest one of a random matrix within the family (`NULL`).

    Shapes: (N, d, d).

    Returns:
        per matrix a list of {operation, parameters, correlation, z}.
    """
    found = _nearest(_batch(matrices, size), size, top, null_samples, seed)
    return [[record for _, record in records] for records in found]


def _nearest(
    matrices: Tensor, size: int, top: int, null_samples: int, seed: int
) -> list[list[tuple[Operation, dict[str, Any]]]]:
    if size > LARGEST_SIZE:
        return [[] for _ in matrices]
    operations = known_operations(size)
    families = list(dict.fromkeys(operation.name for operation in operations))
    index = {name: [i for i, operation in enumerate(operations) if operation.name == name] for name in families}

    def best(matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Of each family, the correlation of the best operation (N, families) and which it is."""
        correlations = unit(matrices).flatten(1) @ _dictionary(size).T
        chosen = [torch.tensor(index[name])[correlations[:, index[name]].abs().argmax(1)] for name in families]
        which = torch.stack(chosen, 1)
        return correlations.gather(1, which), which

    noise = torch.randn(null_samples, size**2, size**2, dtype=torch.float64, generator=_generator(seed))
    correlations, which = best(matrices.cpu())
    z = _z(correlations.abs(), best(noise)[0].abs(), dim=0)
    # Correlations that differ by rounding alone are taken for equal, and the plainest operation comes first.
    ranks = (correlations.abs() * 1e9).round().argsort(dim=1, descending=True, stable=True)[:, :top]

    def record(i: int, family: int) -> tuple[Operation, dict[str, Any]]:
        operation = operations[int(which[i, family])]
        correlation = float(correlations[i, family])
        return operation, {
            "operation": operation.name,
            "parameters": operation.parameters,
            "correlation": correlation,
            "z": float(z[i, family]),
        }

    return [[record(i, family) for family in row] for i, row in enumerate(ranks.tolist())]


@lru_cache(maxsize=4)
def _dictionary(size: int) -> Tensor:
    """All known operations at unit norm: (operations, d*d)."""
    return unit(torch.stack([operation.matrix for operation in known_operations(size)])).flatten(1)


# Diagnosis


def diagnose(
    matrices: Tensor, size: int, *, order: int = 4, null_samples: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """Everything there is to say about each of N actions on `size` x `size` filters: (N, d, d) to N records.

    A record is one of `actions.json` but for where the action comes from: `label`, `scores`, `condition_number`,
    `log_abs_det`, `eigenvalues` and `singular_values` (largest first), `nearest`, and also `cyclic_order`,
    `cyclic_residuals` (q = 1..24), `power_separation` (of the `order` elements of the group) and `scale_levels`
    (quadrants, blocks). Numbers that are infinite, of singular actions, are None. `nearest` is empty above size 10.

    The label is None for an action that is unstructured: a structure is named only where its z is above 5 and its value above
    the threshold. The nearest operation comes first, then a cyclic order, then the most special structure.

    Raises:
        ValueError: another shape than (N, d, d) with d = size^2, NaN or infinity.
    """
    matrices = _batch(matrices, size)
    if not len(matrices):
        return []
    residuals = cyclic_residuals(matrices)
    singular_values = torch.linalg.svdvals(matrices)
    values = scores(matrices)
    z_scores = _z_scores(matrices, values, null_samples, seed)
    orders = cyclic_order(residuals).tolist()
    separation = power_separation(matrices, order).tolist()
    levels = torch.stack(scale_levels(matrices), -1)
    neighbours = _nearest(matrices, size, 3, null_samples, seed)
    eigenvalues = torch.linalg.eigvals(matrices)
    eigenvalues = eigenvalues.gather(-1, eigenvalues.abs().argsort(dim=-1, descending=True, stable=True))

    records = []
    for i, cyclic in enumerate(orders):
        scored = {name: {"value": float(values[name][i]), "z": float(z_scores[name][i])} for name in SCORES}
        sigma = singular_values[i]
        records.append(
            {
                "label": _label(scored, neighbours[i], cyclic, levels[i].tolist()),
                "scores": scored,
                "condition_number": _finite(sigma[0] / sigma[-1]),
                "log_abs_det": _finite(sigma.log().sum()),
                "eigenvalues": torch.view_as_real(eigenvalues[i]).tolist(),
                "singular_values": sigma.tolist(),
                "nearest": [record for _, record in neighbours[i]],
                "cyclic_order": cyclic,
                "cyclic_residuals": residuals[i].tolist(),
                "power_separation": separation[i],
                "scale_levels": levels[i].tolist(),
            }
        )
    return records


def _label(
    scored: dict[str, dict[str, float]],
    neighbours: list[tuple[Operation, dict[str, Any]]],
    order: int,
    levels: list[float],
) -> str | None:
    def beats(name: str, score: dict[str, float]) -> bool:
        return score["z"] > MIN_Z and score["value"] > THRESHOLDS[name]

    for operation, record in neighbours[:1]:
        if beats(NEAREST, {"value": abs(record["correlation"]), "z": record["z"]}):
            return ("negated " if record["correlation"] < 0 else "") + operation.describe()

    found = {name for name, score in scored.items() if beats(name, score)}
    if "cyclicity" in found and order > 1:
        return f"cyclic of order {order}"
    for special, general in (("circulant", "toeplitz"), ("toeplitz", "block_toeplitz"), ("block_toeplitz", None)):
        contained = general is None or scored[special]["value"] > NESTED * scored[general]["value"]
        if special in found and contained:
            return {"circulant": "circulant", "toeplitz": "Toeplitz", "block_toeplitz": "convolution"}[special]
    if "skew_symmetry" in found:
        return "skew-symmetric"
    if "multi_scale" in found and min(levels) > MIN_LEVEL:
        return "multi-scale"
    if "block_concentration" in found:
        return "block-concentrated"
    return "orthogonal" if "orthogonality" in found else None


def _z_scores(matrices: Tensor, values: dict[str, Tensor], samples: int, seed: int) -> dict[str, Tensor]:
    """The z-score of every score in `values`, of every matrix."""
    dim = matrices.shape[-1]
    generator = _generator(seed)
    singular_values = torch.linalg.svdvals(matrices)[:, None, :]  # (N, 1, d)
    null = {name: [] for name in values}
    few = max(1, 8192 // dim**2)  # at a time: all would be N * samples matrices
    for left in range(0, samples, few):
        bases = torch.randn(2, min(few, samples - left), dim, dim, dtype=torch.float64, generator=generator)
        u, v = haar(bases).to(matrices.device)
        gaussian = _orthogonality(torch.linalg.svdvals(bases[0])).to(matrices.device)
        null["orthogonality"].append(gaussian.expand(len(matrices), -1))
        spectral = (u * singular_values[:, :, None]) @ v.mT  # (N, few, d, d)
        for name, score in SCORES.items():
            if name != "orthogonality":
                null[name].append(score(spectral))
    return {name: _z(values[name], torch.cat(drawn, 1), dim=1) for name, drawn in null.items()}


def haar(gaussian: Tensor) -> Tensor:
    """Orthogonal matrices, uniformly distributed, from Gaussian ones."""
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]


def _z(values: Tensor, null: Tensor, dim: int) -> Tensor:
    """(value - mean) / standard deviation of the null along `dim`; 0 where every draw of the null is the same."""
    deviation = null.std(dim)
    varies = deviation > 1e-9
    return torch.where(varies, (values - null.mean(dim)) / torch.where(varies, deviation, 1.0), 0.0)


def strongest(record: dict[str, Any], names: Iterable[str] | None = None) -> tuple[str, dict[str, float]]:
    """Of some scores of a record of `actions.json`, by default of all and of the `nearest` known operation, the one that is
    furthest above chance: its name, and what `score_of` says."""
    found = {name: score_of(record, name) for name in names or [*record["scores"], NEAREST]}
    return max(found.items(), key=lambda item: item[1]["z"])


def score_of(record: dict[str, Any], name: str) -> dict[str, float]:
    """value and z of a score, or of the `nearest` known operation; what is missing counts as nothing."""
    if name != NEAREST:
        score = record["scores"][name]
    elif record["nearest"]:
        score = {"value": record["nearest"][0]["correlation"], "z": record["nearest"][0]["z"]}
    else:
        score = {}
    return {key: score.get(key) or 0.0 for key in ("value", "z")}


def rank(record: dict[str, Any]) -> tuple[bool, float]:
    """A key that sorts records by how structured the actions are: with a label first, then by how far above chance."""
    return not record["label"], -strongest(record)[1]["z"]


# Sets of actions


def action_distance(a: Tensor, b: Tensor) -> float:
    """How different two sets of actions are, whatever the order of groups and the scale of each action.

    The mean, over the optimal matching of the smaller set into the larger, of ||A - B||_F / 2 of the matched actions at
    unit norm: 0 for the same sets, near 0.71 for unrelated ones. The sign counts: -A makes another orbit than A.

    Shapes: (M, d, d) and (N, d, d).

    Raises:
        ValueError: sets that are empty or act on different filters.
    """
    a, b = _checked(a), _checked(b)
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:] or not len(a) or not len(b):
        raise ValueError(f"two sets (M, d, d) and (N, d, d) of the same d are compared, got {_of(a)} and {_of(b)}")
    costs = _distance(unit(a).flatten(1) @ unit(b).flatten(1).T).cpu().numpy()
    rows, columns = optimal_matching(costs)
    return float(costs[rows, columns].mean())


def optimal_matching(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows and columns, min(M, N) of each, of least total cost: the Hungarian method (Kuhn, 1955), O(M^2 N).

    Rows enter one at a time, each by the shortest augmenting path in the reduced costs.
    """
    if costs.shape[0] > costs.shape[1]:
        columns, rows = optimal_matching(costs.T)
        return rows, columns
    count, width = costs.shape
    price = np.zeros(width + 1)  # of each column; the last stands for the row that enters
    reward = np.zeros(count)
    owner = np.full(width + 1, -1)  # row of each column, -1 if free
    for row in range(count):
        owner[-1] = row
        column = -1
        slack = np.full(width, np.inf)
        previous = np.full(width, -1)
        used = np.zeros(width + 1, dtype=bool)
        while owner[column] != -1:
            used[column] = True
            reduced = costs[owner[column]] - reward[owner[column]] - price[:-1]
            closer = ~used[:-1] & (reduced < slack)
            slack[closer] = reduced[closer]
            previous[closer] = column
            step = slack[~used[:-1]].min()
            column = int(np.flatnonzero(~used[:-1] & (slack == step))[0])
            reward[owner[used]] += step
            price[used] -= step
            slack[~used[:-1]] -= step
        while column != -1:
            owner[column] = owner[previous[column]]
            column = previous[column]
    columns = np.flatnonzero(owner[:-1] != -1)
    return owner[columns], columns


def permutation_test(
    sets: Sequence[Tensor], labels: Sequence[Any], *, permutations: int = 9999, seed: int = 0
) -> dict[str, float | int]:
    """Do sets of actions with the same label (a data set, a task) resemble each other more than sets with different ones?

    The statistic is the mean `action_distance` between labels minus that within labels; its p-value is the share of random
    relabellings with a statistic as large, the given one counted among them.

    Arguments:
        sets: actions of each model, (M, d, d) each, as many of all: a larger set is nearer to any other, having more to
            choose a match from, so that sets of different sizes cannot be relabelled.
        labels: one for each set; two different ones at least, and one of them twice.

    Returns:
        {statistic, p_value, permutations}

    Raises:
        ValueError: sets of different sizes, labels that leave nothing to compare, or no permutations.
    """
    names = list(dict.fromkeys(labels))
    if len(sets) != len(labels) or not 1 < len(names) < len(labels):
        raise ValueError(
            f"as many labels as sets, two of them different and two the same; got {len(sets)} sets labelled {list(labels)}"
        )
    if len({len(actions) for actions in sets}) > 1:
        raise ValueError(f"sets of as many actions are compared, got {', '.join(map(_of, sets))}")
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
    shuffles = torch.rand(permutations, len(sets), generator=_generator(seed)).argsort(1)
    value = statistic(given[None])
    as_large = int((statistic(given[shuffles]) >= value - 1e-12).sum())
    return {
        "statistic": float(value),
        "p_value": (1 + as_large) / (1 + permutations),
        "permutations": permutations,
    }


# Parts of several


def _checked(matrices: Tensor) -> Tensor:
    """The matrices in float64.

    Raises:
        ValueError: not square, NaN or infinity.
    """
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2] or not matrices.shape[-1]:
        raise ValueError(f"actions are square matrices (..., d, d), got {_of(matrices)}")
    matrices = matrices.detach().to(torch.float64)
    if not (torch.stack(matrices.aminmax()) if matrices.numel() else matrices).isfinite().all():
        raise ValueError("actions hold NaN or infinity")
    return matrices


def _batch(matrices: Tensor, size: int) -> Tensor:
    if matrices.ndim != 3 or matrices.shape[-1] != size**2:
        raise ValueError(f"size={size}: actions are (N, {size**2}, {size**2}), got {_of(matrices)}")
    return _checked(matrices)


def _of(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _side(matrices: Tensor) -> int:
    """n of d = n*n."""
    dim = matrices.shape[-1]
    size = math.isqrt(dim)
    if size**2 != dim:
        raise ValueError(f"actions on n x n filters have d = n*n rows, got {_of(matrices)}")
    return size


def _explained(matrices: Tensor, kind: str) -> Tensor:
    """Share of energy of the projection on the matrices that are constant on each class of entries."""
    matrices = _checked(matrices)
    dim = matrices.shape[-1]
    if kind not in ("toeplitz", "circulant"):
        _side(matrices)
    classes, counts = (tensor.to(matrices.device) for tensor in _classes(dim, kind))
    sums = matrices.new_zeros(*matrices.shape[:-2], len(counts)).index_add_(-1, classes, matrices.flatten(-2))
    return _share((sums.square() / counts).sum(-1), matrices)


@lru_cache(maxsize=32)
def _classes(dim: int, kind: str) -> tuple[Tensor, Tensor]:
    """The class of each entry of a d x d matrix, (d*d,), and how many entries each class has."""
    size = math.isqrt(dim)
    i, j = torch.meshgrid(torch.arange(dim), torch.arange(dim), indexing="ij")
    row, column = i // size, j // size  # of the block
    half = (size + 1) // 2
    labels = {
        "toeplitz": lambda: i - j,
        "circulant": lambda: (i - j) % dim,
        "block_toeplitz": lambda: (row - column) * 2 * size + i % size - j % size,
        "block": lambda: row * size + column,
        "quadrant": lambda: row // half * 2 + column // half,
    }[kind]()
    _, classes, counts = labels.flatten().unique(return_inverse=True, return_counts=True)
    return classes, counts


def _share(part: Tensor, matrices: Tensor) -> Tensor:
    """Energy of a part over the matrix's: 0 for the zero matrix."""
    return (part / _positive(torch.linalg.matrix_norm(matrices).square())).clamp_max(1)


def unit(matrices: Tensor) -> Tensor:
    return matrices / _positive(torch.linalg.matrix_norm(matrices, keepdim=True))


def _positive(norm: Tensor) -> Tensor:
    return norm.clamp_min(torch.finfo(norm.dtype).tiny)


def _finite(number: Tensor) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
