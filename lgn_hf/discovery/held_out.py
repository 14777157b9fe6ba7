"""Held-out points: does an action map the points onto others of their kind as well as the points lie on them?

If A is a symmetry of what the points are drawn from, then the points A w_k are such a draw, too. So they match held-out points
v_l as well as the points w_k do. For unit vectors and the best one-to-one matching pi, compare

    cost(A) = mean_k |A w_k / |A w_k| - v_pi(k)|^2    with    cost(1).

An approximate symmetry, which fits the points by chance or in part, has a larger cost.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

MOST_COST = 1.25  # cost(A) / cost(1) above which A is not a symmetry


def held_out_cost(points: Tensor, held_out: Tensor, matrix: Tensor | None = None) -> float:
    """cost(A) of the module's equation.

    Args:
        points: (N, d); zero rows do not count.
        held_out: (M, d). If M < N, the M points that match best count.
        matrix: A, (d, d); the identity by default.
    """
    moved, others = _unit(points if matrix is None else points @ matrix.T), _unit(held_out)
    costs = 2 - 2 * moved @ others.T
    return float(costs[linear_sum_assignment(costs.numpy())].mean())


def _unit(points: Tensor) -> Tensor:
    norms = points.norm(dim=1, keepdim=True)
    live = norms[:, 0] > 0
    return points[live] / norms[live]


def relative_cost(points: Tensor, held_out: Tensor, matrix: Tensor) -> float:
    """cost(A) / cost(1)."""
    least = torch.finfo(points.dtype).eps
    return held_out_cost(points, held_out, matrix) / max(held_out_cost(points, held_out), least)
