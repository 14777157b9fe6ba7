"""Experiment `known`: matrices whose structure is known, to measure the diagnostics on."""

from __future__ import annotations

import argparse

import numpy as np
import torch

from lgn_hf.actions import average_pooling, corner_swap, cycles, derivative, diagnose, shift, transposition
from lgn_hf.model.filters import rotation_matrix, vec
from lgn_training.experiments.registry import experiment
from lgn_training.texts import Row

N, D = 6, 36  # pixels a side, and in all


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.linalg.qr(draw(*shape, seed=seed)).Q


def toeplitz_matrix() -> torch.Tensor:
    i, j = np.indices((D, D))
    return draw(2 * D - 1)[torch.from_numpy(i - j + D - 1)]


def circulant_matrix() -> torch.Tensor:
    i, j = np.indices((D, D))
    return draw(D)[torch.from_numpy((i - j) % D)]


def convolution() -> torch.Tensor:
    """By a random 11 x 11 kernel, zeros outside the filter."""
    kernel, filters = draw(1, 1, 2 * N - 1, 2 * N - 1), torch.eye(D, dtype=torch.float64).view(D, 1, N, N)
    return vec(torch.nn.functional.conv2d(filters.mT, kernel, padding=N - 1)[:, 0]).T


def multi_scale_matrix() -> torch.Tensor:
    """Quadrants of one sign each, and in them blocks of different strength."""
    signs = torch.tensor([[1.0, -1], [-1, 1]], dtype=torch.float64).kron(torch.ones(3, 3, dtype=torch.float64))
    return (signs * (1 + 0.8 * draw(N, N))).kron(torch.ones(N, N, dtype=torch.float64))


def concentrated_matrix() -> torch.Tensor:
    blocks = torch.zeros(N, N, dtype=torch.float64)
    blocks[[0, 1, 4, 5], [2, 5, 0, 3]] = 1
    return draw(D, D) * blocks.kron(torch.ones(N, N, dtype=torch.float64))


def cyclic_matrix() -> torch.Tensor:
    """S P S^-1, the `cyclic` action of order 5, with S far from the identity but well-conditioned."""
    basis = orthogonal(D, D) @ (torch.eye(D, dtype=torch.float64) + draw(D, D, seed=1) / 30)
    return basis @ cycles(D, 5, 1) @ torch.linalg.inv(basis)


def skew_matrix() -> torch.Tensor:
    return draw(D, D) - draw(D, D).T


# name -> (matrix, its label, the score that is exactly 1 for it)
KNOWN = {
    "identity": (lambda: torch.eye(D, dtype=torch.float64), "identity", "orthogonality"),
    "rotation": (lambda: rotation_matrix(N, 57), "rotation by 57 degrees", None),
    "rotation by 90": (lambda: rotation_matrix(N, 90), "rotation by 90 degrees", "cyclicity"),
    "transposition": (lambda: transposition(N), "transposition", "cyclicity"),
    "corner swap": (lambda: corner_swap(N), "corner swap", "orthogonality"),
    "pooling": (lambda: average_pooling(N, 4), "average pooling r=4", None),
    "pooling and rotation": (
        lambda: rotation_matrix(N, 57) @ average_pooling(N, 3), "rotation by 57 degrees after pooling r=3", None
    ),
    "shift": (lambda: shift(N, 1, -2), "shift by (1, -2)", "block_toeplitz"),
    "derivative": (lambda: derivative(N, 1, 1), "derivative of order 1 along axis 1", "skew_symmetry"),
    "cyclic": (cyclic_matrix, "cyclic of order 5", "cyclicity"),
    "circulant": (circulant_matrix, "circulant", "circulant"),
    "Toeplitz": (toeplitz_matrix, "Toeplitz", "toeplitz"),
    "convolution": (convolution, "convolution", "block_toeplitz"),
    "skew-symmetric": (skew_matrix, "skew-symmetric", "skew_symmetry"),
    "multi-scale": (multi_scale_matrix, "multi-scale", "multi_scale"),
    "block-concentrated": (concentrated_matrix, "block-concentrated", "block_concentration"),
    "orthogonal": (lambda: orthogonal(D, D), "orthogonal", "orthogonality"),
    "random": (lambda: draw(D, D, seed=3), None, None),
    "random of rank 1": (lambda: draw(D, 1, seed=3) @ draw(1, D, seed=4), None, None),
}  # fmt: skip
NOISE = 0.3  # of the matrix's norm


def noisy(matrix: torch.Tensor, noise: float = NOISE) -> torch.Tensor:
    """The matrix with Gaussian noise whose norm is a share of its own."""
    return matrix + noise * matrix.norm() * draw(D, D, seed=7) / D


@experiment(
    "known",
    f"Do the diagnostics name matrices of known structure, exact and with noise of {NOISE} of their norm? "
    "Label, the score that supports it, and its z",
)
def known_matrices(args: argparse.Namespace) -> Row:
    matrices = [build() for build, _, _ in KNOWN.values()]
    both = torch.stack([*matrices, *(noisy(matrix) for matrix in matrices)])
    records = diagnose(both, N, null_samples=20 if args.quick else 200, seed=args.seed)
    rows = []
    for (name, (_, label, score)), *pair in zip(KNOWN.items(), records, records[len(KNOWN) :], strict=False):
        for noise, record in zip((0.0, NOISE), pair, strict=True):
            nearest, scored = record["nearest"][0], record["scores"].get(score, {"value": None, "z": None})
            rows.append(
                {
                    "matrix": name,
                    "noise": noise,
                    "label": record["label"],
                    "as known": record["label"] == label,
                    "nearest operation": nearest["correlation"],
                    "its z": nearest["z"],
                    "score": score,
                    **scored,
                }
            )
    return {"rows": rows, "data": {"source": "matrices of known structure", "fingerprint": None}, "figures": []}
