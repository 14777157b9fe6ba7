"""The unfolded layers: from images and filters to sparse codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolutions import analysis, synthesis


def fista_momentum(num_layers: int) -> list[float]:
    """The momentum of FISTA in L layers: beta_l = (t_l - 1) / t_{l+1}, t_1 = 1, t_{l+1} = (1 + sqrt(1 + 4 t_l^2)) / 2.

    Example:
        >>> [round(beta, 3) for beta in fista_momentum(4)]
        [0.0, 0.282, 0.434, 0.531]
    """
    momentum, t = [], 1.0
    for _ in range(num_layers):
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        momentum.append((t - 1) / following)
        t = following
    return momentum


class Backend(NamedTuple):
    """Another way to compute what `unfold` computes.

    suits: whether it can, and is faster, for these images, filters, norms and padding.
    unfold: takes the arguments of `unfold` and `all_codes`.
    """

    suits: Callable[[Tensor, Tensor, Sequence[Callable], int], bool]
    unfold: Callable[..., list[Tensor]]


BACKENDS: dict[str, Backend] = {}


def register_backend(name: str, suits: Callable[..., bool], unfold: Callable[..., list[Tensor]]) -> None:
    """Let `encode` use a backend; one of the same name is replaced."""
    BACKENDS[name] = Backend(suits, unfold)


def encode(
    images: Tensor,
    filters: Tensor,
    thresholds: Tensor,
    norms: Sequence[Callable[[Tensor], Tensor]],
    momentum: Sequence[float],
    step_size: float,
    padding: int,
    *,
    all_codes: bool = True,
) -> list[Tensor]:
    """The codes of `unfold`, from the first backend that suits, else from `unfold` itself.

    Without `all_codes`, the list may hold the last code alone.
    """
    arguments = (images, filters, thresholds, norms, momentum, step_size, padding)
    for backend in BACKENDS.values():
        if backend.suits(images, filters, norms, padding):
            return backend.unfold(*arguments, all_codes=all_codes)
    return unfold(*arguments)


def unfold(
    images: Tensor,
    filters: Tensor,
    thresholds: Tensor,
    norms: Sequence[Callable[[Tensor], Tensor]],
    momentum: Sequence[float],
    step_size: float,
    padding: int,
) -> list[Tensor]:
    """L steps of convolutional (F)ISTA ("Learning Linear Groups in Neural Networks", eq. 10). With y_1 = z_0 = 0:

        z_l     = ReLU(y_l + a * W_l^T(x - W_l y_l) - a * lambda_l)
        y_{l+1} = BatchNorm_l(z_l + beta_l * (z_l - z_{l-1}))

    Args:
        images: x, (B, C, H, W).
        filters: W_1..W_L, (L, F, C, n, m).
        thresholds: lambda, (L, F).
        norms: BatchNorm_1..BatchNorm_{L-1}, or none.
        momentum: beta_1..beta_L.
        step_size: a.
        padding: zeros around the image, in pixels.

    Returns:
        The codes z_1..z_L, each (B, F, H + 2*padding - n + 1, W + 2*padding - m + 1).
    """
    banks, biases = filters.unbind(), (-step_size * thresholds).unbind()
    codes: list[Tensor] = []
    estimate = None  # y_l; None stands for y_1 = 0, which needs no synthesis
    for layer, (bank, bias, beta) in enumerate(zip(banks, biases, momentum, strict=True)):
        residual = images if estimate is None else images - synthesis(estimate, bank, padding)
        step = analysis(residual, step_size * bank, padding, bias)  # a W^T r - a lambda
        code = F.relu(step if estimate is None else estimate + step)
        # z_{l-1} + (1 + beta) (z_l - z_{l-1}), in one pass over memory
        estimate = torch.lerp(codes[-1], code, 1 + beta) if codes and beta else code
        if layer < len(norms):
            estimate = norms[layer](estimate)
        codes.append(code)
    return codes
