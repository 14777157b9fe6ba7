"""The nearest known operation: which rotation, shift, pooling, ... a matrix resembles most."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .chance import z_score
from .matrices import checked_batch, unit
from .operations import LARGEST_SIZE, known_operations

NEAREST_NULL = "the largest |correlation| of a Gaussian matrix with any operation of the same name"


def nearest(
    matrices: Tensor, size: int, top: int = 3, *, null_samples: int = 200, seed: int = 0
) -> list[list[dict[str, Any]]]:
    """The known operations that each matrix correlates with most, best first, at most one of each name.

    The correlation of A with an operation B is <A, B> / (||A|| ||B||). It is negative if -B
    resembles A. Its z-score compares |correlation| with the largest |correlation| of a Gaussian
    matrix with any operation of the same name.

    Args:
        matrices: (N, d, d) with d = `size`^2.
        size: side of the filters, pixels. Above `LARGEST_SIZE` nothing is compared.
        top: operations per matrix.
        null_samples: Gaussian matrices.
        seed: of the Gaussian matrices.

    Returns:
        One list per matrix, of {operation, parameters, correlation, z}; empty lists above
        `LARGEST_SIZE`.

    Raises:
        ValueError: the shape is another, or the matrices hold NaN or infinity.

    Example:
        >>> from lgn_hf.actions import shift
        >>> [found] = nearest(shift(4, rows=1, columns=0)[None], size=4)
        >>> found[0]["operation"], found[0]["parameters"]
        ('shift', {'rows': 1, 'columns': 0})
    """
    matrices = checked_batch(matrices, size)
    if size > LARGEST_SIZE:
        return [[] for _ in matrices]
    operations = known_operations(size)
    names = list(dict.fromkeys(operation.name for operation in operations))
    index = {name: [i for i, operation in enumerate(operations) if operation.name == name] for name in names}

    def best(matrices: Tensor) -> tuple[Tensor, Tensor]:
        """For each name, the largest correlation (N, names) and the operation that has it (N, names)."""
        correlations = unit(matrices).flatten(1) @ _dictionary(size).T
        chosen = [torch.tensor(index[name])[correlations[:, index[name]].abs().argmax(1)] for name in names]
        which = torch.stack(chosen, 1)
        return correlations.gather(1, which), which

    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(null_samples, size**2, size**2, dtype=torch.float64, generator=generator)
    correlations, which = best(matrices.cpu())
    z = z_score(correlations.abs(), best(noise)[0].abs(), dim=0)
    # Correlations that differ by rounding alone count as equal: then the plainest operation comes first.
    ranks = (correlations.abs() * 1e9).round().argsort(dim=1, descending=True, stable=True)[:, :top]
    return [
        [
            {
                "operation": names[column],
                "parameters": operations[int(which[row, column])].parameters,
                "correlation": float(correlations[row, column]),
                "z": float(z[row, column]),
            }
            for column in columns
        ]
        for row, columns in enumerate(ranks.tolist())
    ]


@lru_cache(maxsize=4)
def _dictionary(size: int) -> Tensor:
    """All known operations at unit norm: (operations, d*d)."""
    return unit(torch.stack([operation.matrix for operation in known_operations(size)])).flatten(1)
