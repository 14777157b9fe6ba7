"""Chance: the random matrices that a score is compared with, and z-scores."""

from __future__ import annotations

import torch
from torch import Tensor

from .registry import SCORES

NULLS = {
    "spectral": "the same score for U S V^T, with S the singular values of the action and U, V Haar orthogonal",
    "gaussian": "the same score for Gaussian matrices: it is the same for all U S V^T of the same S",
}
"""The random matrices that `Score.null` chooses from, as `actions.json` describes them."""

MAX_NUMBERS = 8192  # entries of the random matrices that are drawn at a time, per action


def z_scores(matrices: Tensor, values: dict[str, Tensor], samples: int, seed: int) -> dict[str, Tensor]:
    """The z-score of every score of every matrix: how many deviations its value is above that of random matrices.

    Args:
        matrices: (N, d, d), float64.
        values: the scores of the matrices, (N,) each.
        samples: random matrices per action. All scores see the same ones.
        seed: of the random matrices.
    """
    dim = matrices.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    singular_values = torch.linalg.svdvals(matrices)[:, None, :]  # (N, 1, d)
    drawn: dict[str, list[Tensor]] = {name: [] for name in values}
    few = max(1, MAX_NUMBERS // dim**2)
    for done in range(0, samples, few):
        bases = torch.randn(2, min(few, samples - done), dim, dim, dtype=torch.float64, generator=generator)
        u, v = haar(bases).to(matrices.device)
        null = {
            "spectral": (u * singular_values[:, :, None]) @ v.mT,  # (N, few, d, d)
            "gaussian": bases[0].to(matrices.device),  # (few, d, d), the same for all actions
        }
        for name in values:
            score = SCORES[name]
            drawn[name].append(score(null[score.null]).expand(len(matrices), -1))
    return {name: z_score(values[name], torch.cat(parts, 1), dim=1) for name, parts in drawn.items()}


def z_score(values: Tensor, null: Tensor, dim: int) -> Tensor:
    """(value - mean) / standard deviation of the null along `dim`; 0 if the null does not vary."""
    deviation = null.std(dim)
    varies = deviation > 1e-9
    return torch.where(varies, (values - null.mean(dim)) / torch.where(varies, deviation, 1.0), 0.0)


def haar(gaussian: Tensor) -> Tensor:
    """Orthogonal matrices, Haar distributed, from Gaussian ones: the Q of A = Q R with a positive diagonal of R.

    Shapes: (..., d, d) to (..., d, d).
    """
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
