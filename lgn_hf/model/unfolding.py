"""The unfolded layers: from images and filters to sparse codes."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import analysis, is_eager, synthesis

logger = logging.getLogger(__name__)


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
    checkpoint: Callable[..., Tensor] | None = None,
) -> list[Tensor]:
    """The codes of `unfold`, from the first backend that suits, else from `unfold` itself.

    Without `all_codes`, the list may hold the last code alone. Backends have no use for `checkpoint`: of every layer they
    keep no more than its code.
    """
    arguments = (images, filters, thresholds, norms, momentum, step_size, padding)
    for backend in BACKENDS.values():
        if backend.suits(images, filters, norms, padding):
            return backend.unfold(*arguments, all_codes=all_codes)
    if images.device.type == "cpu" and images.dtype.itemsize == 2 and is_eager():
        _warn_of_slow_layers(images.dtype)
    return unfold(*arguments, checkpoint=checkpoint)


@functools.cache  # once
def _warn_of_slow_layers(dtype: torch.dtype) -> None:
    logger.warning(
        "Layers in %s take several times as long as in float32 on a CPU without matrix units: model.float() is faster "
        "there.",
        dtype,
    )


def unfold(
    images: Tensor,
    filters: Tensor,
    thresholds: Tensor,
    norms: Sequence[Callable[[Tensor], Tensor]],
    momentum: Sequence[float],
    step_size: float,
    padding: int,
    *,
    checkpoint: Callable[..., Tensor] | None = None,
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
        checkpoint: calls a layer with its arguments, such as `torch.utils.checkpoint.checkpoint`, which keeps the codes
            alone and computes the rest of a layer again for its gradient.

    Returns:
        The codes z_1..z_L, each (B, F, H + 2*padding - n + 1, W + 2*padding - m + 1).
    """
    banks, biases = filters.unbind(), (-step_size * thresholds).unbind()
    codes: list[Tensor] = []
    for layer, (bank, bias) in enumerate(zip(banks, biases, strict=True)):
        norm = norms[layer - 1] if 0 < layer <= len(norms) else None
        step = _Layer(norm, momentum[layer - 1] if layer > 1 else 0.0, step_size, padding)
        arguments = (images, bank, bias, *reversed(codes[-2:]))
        codes.append(step(*arguments) if checkpoint is None else checkpoint(step, *arguments))
    return codes


class _Layer:
    """One step of `unfold`, which may be computed again for its gradient."""

    def __init__(self, norm: Callable[[Tensor], Tensor] | None, momentum: float, step_size: float, padding: int):
        self.norm = norm
        self.momentum = momentum  # beta_{l-1}
        self.step_size = step_size
        self.padding = padding
        self.has_run = False

    def __call__(
        self, images: Tensor, bank: Tensor, bias: Tensor, code: Tensor | None = None, before: Tensor | None = None
    ) -> Tensor:
        """z_l from `code` z_{l-1} and `before` z_{l-2}, where there are any; `bias` is -a lambda_l."""
        if code is None:  # y_1 = 0 needs no synthesis
            return F.relu(analysis(images, self.step_size * bank, self.padding, bias))
        estimate = code
        if before is not None and self.momentum:
            # z_{l-2} + (1 + beta) (z_{l-1} - z_{l-2}), in one pass over memory
            estimate = torch.lerp(before, code, 1 + self.momentum)
        if self.norm is not None:
            estimate = self._again(estimate) if self.has_run else self.norm(estimate)
        self.has_run = True
        residual = images - synthesis(estimate, bank, self.padding)
        step = analysis(residual, self.step_size * bank, self.padding, bias)  # a W^T r - a lambda
        return F.relu(estimate + step)

    def _again(self, estimate: Tensor) -> Tensor:
        """Normalise once more, but do not move running statistics once more."""
        assert isinstance(self.norm, nn.Module)
        buffers = {name: buffer.clone() for name, buffer in self.norm.named_buffers()}
        return torch.func.functional_call(self.norm, buffers, (estimate,))
