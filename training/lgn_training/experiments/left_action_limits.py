"""Experiment `limits`: what actions on columns cannot do (Proposition 1)."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from lgn_hf.actions import average_pooling, corner_swap, transposition
from lgn_hf.model.filters import rotation_matrix, unvec, vec
from lgn_hf.plotting import action_gallery
from lgn_training.data.seeds import seeded_generator
from lgn_training.experiments.linear_maps import SIZE, least_squares, relative_error
from lgn_training.experiments.registry import experiment, save
from lgn_training.texts import Row


@experiment(
    "limits",
    "What can I (x) A_n on columns not do (Proposition 1)? Relative errors of the best one, and of the best A on vec(W)",
)
def left_action_limits(args: argparse.Namespace) -> Row:
    eye = torch.eye(SIZE**2, dtype=torch.float64)
    filters = unvec(eye, SIZE)
    operators = {
        "corner swap": corner_swap(SIZE),
        "transposition": transposition(SIZE),
        "left-right flip": vec(filters.flip(-1)).mT,
        "up-down flip": vec(filters.flip(-2)).mT,
        "rotation by 90": rotation_matrix(SIZE, 90),
        "average pooling r=3": average_pooling(SIZE, 3),
    }
    true = torch.stack(list(operators.values()))
    inputs = torch.randn(10 * SIZE**2, SIZE**2, dtype=torch.float64, generator=seeded_generator(args.seed))
    free, _ = least_squares(inputs, inputs @ true.mT)
    left = best_left(true, SIZE)
    rows = [
        {"operator": name, "left": a, "vectorised": b}
        for name, a, b in zip(
            operators, relative_error(left, true).tolist(), relative_error(free, true).tolist(), strict=True
        )
    ]
    titles = [f"{name}: {kind}" for name in list(operators)[:2] for kind in ("operator", "best left", "free")]
    shown = torch.stack([each[i] for i in range(2) for each in (true, left, free)])
    gallery = action_gallery(shown, titles, None, SIZE)
    return {"rows": rows, "filters": len(inputs), "figures": [save(args, "limits", gallery)]}


def best_left(matrices: Tensor, size: int) -> Tensor:
    """The I (x) A_n nearest to each matrix: A_n is the mean of its n diagonal blocks.

    Shapes: (..., d, d) to (..., d, d).

    Least squares finds the same from filters with uncorrelated pixels.
    """
    # (..., n, n, n, n): column, row, column, row
    blocks = matrices.unflatten(-1, (size, size)).unflatten(-3, (size, size))
    mean = blocks.diagonal(dim1=-4, dim2=-2).mean(-1)
    return torch.kron(torch.eye(size, dtype=matrices.dtype), mean)
