"""Second evidence: what else a symmetry of the points must keep.

A symmetry that permutes atoms also permutes how often two atoms are on together (a matrix, like the Gram matrix), how
often and how strongly each is on (numbers), and labels (which must agree exactly).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

FORBIDDEN = -30.0  # similarity of two points of different label
POINT_WEIGHT = 0.1  # of one number per point, beside the r numbers of its place


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a symmetry must keep.

    Attributes:
        pairs: (E, N, N), symmetric, off-diagonal entries of mean 0 and deviation 1.
        points: (F, N), of mean 0 and deviation 1 along N.
        labels: (N,).
        penalty: (N, N), what points and labels take from the similarity of two points.
        coverage: the share of the points whose images are among the points.
    """

    pairs: Tensor
    points: Tensor
    labels: Tensor | None = None
    penalty: Tensor | None = field(default=None)
    coverage: float = 1.0

    @classmethod
    def checked(
        cls,
        n: int,
        kept: Tensor,
        coactivation: Any = None,
        frequency: Any = None,
        amplitude: Any = None,
        labels: Any = None,
        coverage: float = 1.0,
    ) -> Evidence:
        """Evidence of n rows, of which `kept` are used.

        Raises:
            ValueError: a shape does not fit, or numbers are not finite.
        """
        pairs, points = [], []
        if coactivation is not None:
            matrix = _numbers("coactivation", coactivation, (n, n))[kept][:, kept]
            pairs.append(standard_pairs(_without_degrees((matrix + matrix.T) / 2)))
        for name, given in (("frequency", frequency), ("amplitude", amplitude)):
            if given is not None:
                values = _ranks(_numbers(name, given, (n,))[kept])
                if float(values.std()) > 1e-12:
                    points.append((values - values.mean()) / values.std())
        codes = None
        if labels is not None:
            array = np.asarray(labels)
            if array.shape != (n,):
                raise ValueError(f"labels must have shape ({n},), got {array.shape}")
            codes = torch.from_numpy(np.unique(array, return_inverse=True)[1].reshape(-1)).long()[kept]
        m = len(kept)
        return cls.of(
            torch.stack(pairs) if pairs else torch.zeros(0, m, m, dtype=torch.float64),
            torch.stack(points) if points else torch.zeros(0, m, dtype=torch.float64),
            codes,
            coverage,
        )

    @classmethod
    def of(cls, pairs: Tensor, points: Tensor, labels: Tensor | None = None, coverage: float = 1.0) -> Evidence:
        penalty = None
        if len(points):
            penalty = -POINT_WEIGHT * (points[:, :, None] - points[:, None, :]).square().sum(0)
        if labels is not None:
            differ = FORBIDDEN * (labels[:, None] != labels[None, :]).to(points.dtype)
            penalty = differ if penalty is None else penalty + differ
        return cls(pairs, points, labels, penalty, coverage)

    def to(self, dtype: torch.dtype) -> Evidence:
        penalty = None if self.penalty is None else self.penalty.to(dtype)
        return replace(self, pairs=self.pairs.to(dtype), points=self.points.to(dtype), penalty=penalty)

    def added(self, scores: Tensor, weights: Tensor) -> Tensor:
        """Similarities (B, N, N) plus the evidence, given the last assignment (B, N, N)."""
        for pairs in self.pairs:
            scores = scores + (pairs @ weights @ pairs) / len(pairs)
        if self.penalty is not None:
            scores = scores + self.penalty
        return scores

    def mismatches(self, permutation: Tensor) -> list[float]:
        """How badly a permutation keeps each evidence, on what it moves: 0 exactly, about 1 for chance."""
        moved = permutation != torch.arange(len(permutation))
        values = []
        if not bool(moved.any()):
            return [1.0] * (len(self.pairs) + len(self.points))
        index = torch.nonzero(moved)[:, 0]
        for pairs in self.pairs:
            before, after = pairs[index], pairs[permutation[index]][:, permutation]
            differ = before.numel()
            mask = torch.ones_like(before, dtype=torch.bool)
            mask[torch.arange(len(index)), index] = False
            a, b = before[mask], after[mask]
            values.append(
                float((a - b).square().sum() / (2 * (a - a.mean()).square().sum()).clamp_min(1e-12 * differ))
            )
        for points in self.points:
            a, b = points[index], points[permutation[index]]
            values.append(float((a - b).square().sum() / (2 * (a - a.mean()).square().sum()).clamp_min(1e-12)))
        return values


def standard_pairs(matrix: Tensor) -> Tensor:
    """Off-diagonal entries of mean 0 and deviation 1, by rank (normal scores), and a diagonal of zeros."""
    n = len(matrix)
    rows, columns = torch.triu_indices(n, n, 1)
    values = _ranks(matrix[rows, columns])
    result = torch.zeros_like(matrix)
    result[rows, columns] = values
    return result + result.T


def _ranks(values: Tensor) -> Tensor:
    """Normal scores: the quantiles of a standard normal variable at the ranks of the values; ties share theirs."""
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    upper = counts.cumsum(0)
    middle = (upper.double() - (counts - 1) / 2 - 0.5) / len(values)
    scores = torch.special.ndtri(middle)[inverse]
    return scores / scores.std().clamp_min(1e-12)


def _without_degrees(matrix: Tensor) -> Tensor:
    """Divide by what independent atoms would share: C_ij / (c_i c_j), c the row sums."""
    sums = (matrix - matrix.diagonal().diag()).sum(1)
    if float(sums.min()) <= 0:
        return matrix
    return matrix / torch.outer(sums, sums)


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> Tensor:
    tensor = (
        torch.as_tensor(given if isinstance(given, Tensor) else np.asarray(given)).detach().to("cpu", torch.float64)
    )
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return tensor
