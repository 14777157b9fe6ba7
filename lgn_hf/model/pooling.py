"""Average pooling of codes to a grid of fixed size, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pooling_matrix(shape: Sequence[int], size: int, like: Tensor) -> Tensor:
    """Adaptive average pooling of flat H x W codes to size x size, as one matrix (H*W, size*size).

    The product with it is several times faster on CPUs than `F.adaptive_avg_pool2d`, and ONNX can express it for any H
    and W.
    """
    rows, columns = (_windows(side, size, like) for side in shape)
    return (rows[:, None, :, None] * columns[None, :, None, :]).flatten(0, 1).flatten(1)


def _windows(side: int, size: int, like: Tensor) -> Tensor:
    """The windows of one axis: column i averages pixels floor(i*side/size) to ceil((i+1)*side/size) - 1."""
    pixels = torch.arange(side, device=like.device)[:, None]
    windows = torch.arange(size, device=like.device)
    first, end = windows * side // size, ((windows + 1) * side + size - 1) // size
    return ((pixels >= first) & (pixels < end)).to(like.dtype) / (end - first)
