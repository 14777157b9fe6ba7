"""The two convolutions of a sparse-coding layer: analysis W^T r and its adjoint, synthesis W y."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def analysis(residual: Tensor, filters: Tensor, padding: int) -> Tensor:
    """W^T r: correlate a residual with every filter ("Learning Linear Groups in Neural Networks", eq. 10).

    Shapes: (B, C, H, W) and (K*p, C, n, m) to a code (B, K*p, H + 2*padding - n + 1, W + 2*padding - m + 1).
    """
    return F.conv2d(residual, filters, padding=padding)


def synthesis(code: Tensor, filters: Tensor, padding: int) -> Tensor:
    """W y: the image that a code stands for, the adjoint of `analysis` (eq. 10).

    Shapes: (B, K*p, H', W') and (K*p, C, n, m) to (B, C, H' - 2*padding + n - 1, W' - 2*padding + m - 1).
    """
    return F.conv_transpose2d(code, filters, padding=padding)
