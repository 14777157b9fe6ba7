"""Gradients that can be differentiated again, through torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.unfolding import unfold
from .settings import Settings


def differentiable_gradients(
    inputs: tuple[Tensor, ...],
    statistics: tuple[Tensor, Tensor],
    outer_gradients: Sequence[Tensor | None],
    settings: Settings,
) -> tuple[Tensor | None, ...]:
    """The gradients through `unfold`, which can be differentiated again."""
    images, filters, thresholds, weights, biases = inputs
    norms = [
        functools.partial(
            F.batch_norm, running_mean=None, running_var=None, weight=weight, bias=bias, training=True, eps=eps
        )
        if measured
        else functools.partial(
            F.batch_norm, running_mean=mean, running_var=variance, weight=weight, bias=bias, training=False, eps=eps
        )
        for weight, bias, mean, variance, eps, measured in zip(
            weights, biases, *statistics, settings.eps, settings.batch_statistics, strict=True
        )
    ]
    codes = unfold(images, filters, thresholds, norms, settings.momentum, settings.step_size, settings.padding)
    reached = [(code, grad) for code, grad in zip(codes, outer_gradients, strict=True) if grad is not None]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    gradients = iter(
        torch.autograd.grad(
            [code for code, _ in reached],
            wanted,
            [grad for _, grad in reached],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(gradients) if tensor.requires_grad else None for tensor in inputs)
