"""Linear maps on filters and patches: how far apart they are, and the best one for given pairs."""

from __future__ import annotations

import torch
from torch import Tensor

SIZE = 6  # pixels, the side of the papers' filters and patches


def relative_error(found: Tensor, true: Tensor) -> Tensor:
    """||A - T||_F / ||T||_F. Shapes: (..., d, d) and (..., d, d) to (...)."""
    return torch.linalg.matrix_norm(found - true) / torch.linalg.matrix_norm(true)


def least_squares(inputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """The A that minimises ||X A^T - Y||_F, of least norm if there are several, and the rank of X.

    Shapes: (N, d) and (O, N, d) to (O, d, d).
    """
    left, values, right = torch.linalg.svd(inputs, full_matrices=False)
    rank = int((values > values[0] * max(inputs.shape) * torch.finfo(inputs.dtype).eps).sum())
    inverse = (right[:rank].mT / values[:rank]) @ left[:, :rank].mT
    return (inverse @ targets).mT, rank
