"""Agreement: how much likelier numbers are if they are noisy copies of one number than if they are independent.

For n standard normal numbers x with correlation RHO between all, against independent ones, the log-likelihood ratio is

    a sum x^2 + b_n (sum x)^2 + c_n,   a = -RHO / (2 (1 - RHO)),   b_n = RHO / (2 (1 - RHO) (1 + (n - 1) RHO)).
"""

from __future__ import annotations

import math

from torch import Tensor

RHO = 0.85  # correlation of matching entries that the likelihoods assume
SQUARES_WEIGHT = -RHO / (2 * (1 - RHO))


def sum_weight(count: int) -> tuple[float, float]:
    """b_n and c_n of the module's equation."""
    spread = 1 + (count - 1) * RHO
    return RHO / (2 * (1 - RHO) * spread), -0.5 * ((count - 1) * math.log(1 - RHO) + math.log(spread))


def agreement(count: int, sums: Tensor, squares: Tensor) -> Tensor:
    """The log-likelihood ratio of `count` numbers, of their sums and the sums of their squares."""
    weight, constant = sum_weight(count)
    return SQUARES_WEIGHT * squares + weight * sums.square() + constant
