"""Agreement: how much likelier numbers are if they are noisy copies of one number than if they are independent."""

from __future__ import annotations

import math

from torch import Tensor

RHO = 0.85  # correlation of matching entries that the likelihoods assume


def agreement(count: int, sums: Tensor, squares: Tensor) -> Tensor:
    """Log-likelihood ratio of `count` standard normal numbers with correlation RHO between all, to independent ones.

    Args:
        sums: of the numbers.
        squares: the sums of their squares.
    """
    spread = 1 + (count - 1) * RHO
    value = squares / (1 - RHO) - RHO * sums.square() / ((1 - RHO) * spread)
    return 0.5 * (squares - value) - 0.5 * ((count - 1) * math.log(1 - RHO) + math.log(spread))
