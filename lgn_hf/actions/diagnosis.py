"""Diagnosis: all that the diagnostics say of an action, as a record of `actions.json`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .chance import NULLS, z_scores
from .labels import MIN_Z, NEAREST_THRESHOLD, label_of
from .matrices import checked_batch
from .nearest_operation import NEAREST_NULL, nearest
from .registry import NEAREST, SCORES, Record
from .structures import scale_levels

# isort: split
# Importing a module registers its scores: those of `structures` come first in `actions.json`.
from .cyclicity import cyclic_order, cyclic_residuals, power_separation

THRESHOLDS = {NEAREST: NEAREST_THRESHOLD, **{name: score.threshold for name, score in SCORES.items()}}
"""The value above which each score, or the correlation with the nearest known operation, may name an action."""

NULL = {
    "scores": NULLS["spectral"],
    **{name: NULLS[score.null] for name, score in SCORES.items() if score.null != "spectral"},
    NEAREST: NEAREST_NULL,
    "z": "(value - mean of the null) / standard deviation of the null",
    "label": f"z above {MIN_Z:g} and a value above the threshold of `lgn_hf.actions.THRESHOLDS`",
}
"""How chance was drawn, as `actions.json` says it."""


def scores(matrices: Tensor) -> dict[str, Tensor]:
    """Every score of every matrix: (..., d, d), with d a square, to (...) each.

    Example:
        >>> scores(torch.eye(36))["circulant"]
        tensor(1., dtype=torch.float64)
    """
    return {name: score(matrices) for name, score in SCORES.items()}


def diagnose(
    matrices: Tensor, size: int, *, order: int = 4, null_samples: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """All that there is to say of each of N actions on `size` x `size` filters, one record per action.

    A record has the fields of `actions.json`, except those that say where the action comes from:

    - `label`: the name of the action, or None if it is unstructured, see `label_of`;
    - `scores`: the `value` and `z` of every score in `SCORES`;
    - `condition_number` and `log_abs_det`, None for a singular action; `eigenvalues` as [re, im]
      and `singular_values`, largest first;
    - `nearest`: the three nearest known operations, see `nearest`; empty above size 10;
    - `cyclic_order`, `cyclic_residuals` (q = 1, ..., 24), `power_separation` (of the `order`
      elements of the group) and `scale_levels` (quadrants, blocks), see the functions of these
      names.

    Args:
        matrices: (N, d, d) with d = `size`^2.
        size: side of the filters, pixels.
        order: elements of the group.
        null_samples: random matrices that z-scores compare with.
        seed: of the random matrices.

    Raises:
        ValueError: the shape is another, or the matrices hold NaN or infinity.

    Example:
        >>> diagnose(torch.eye(16).flip(0)[None], size=4)[0]["label"]
        'rotation by 180 degrees'
    """
    matrices = checked_batch(matrices, size)
    if not len(matrices):
        return []
    values = scores(matrices)
    z = z_scores(matrices, values, null_samples, seed)
    found = nearest(matrices, size, null_samples=null_samples, seed=seed)
    residuals = cyclic_residuals(matrices)
    orders = cyclic_order(residuals)
    separations = power_separation(matrices, order)
    levels = torch.stack(scale_levels(matrices), -1)
    singular_values = torch.linalg.svdvals(matrices)
    eigenvalues = torch.linalg.eigvals(matrices)
    eigenvalues = eigenvalues.gather(-1, eigenvalues.abs().argsort(dim=-1, descending=True, stable=True))

    records: list[Record] = []
    for i, sigma in enumerate(singular_values):
        record: Record = {
            "label": None,
            "scores": {name: {"value": float(values[name][i]), "z": float(z[name][i])} for name in values},
            "condition_number": _finite(sigma[0] / sigma[-1]),
            "log_abs_det": _finite(sigma.log().sum()),
            "eigenvalues": torch.view_as_real(eigenvalues[i]).tolist(),
            "singular_values": sigma.tolist(),
            "nearest": found[i],
            "cyclic_order": int(orders[i]),
            "cyclic_residuals": residuals[i].tolist(),
            "power_separation": float(separations[i]),
            "scale_levels": levels[i].tolist(),
        }
        record["label"] = label_of(record)
        records.append(record)
    return records


def _finite(number: Tensor) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
