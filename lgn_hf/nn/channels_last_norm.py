"""Batch normalisation along orbits of maps that are neighbours in memory.

torch normalises an orbit of maps in channels-last order only after a copy into the default order. This is the same
normalisation, from torch's own kernels, without the copy.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def statistics(maps: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """The mean and the variance, not corrected, of each orbit of maps.

    Statistics are taken for each column of pixels first, and combined in float64. So they are more accurate than those of
    `nn.BatchNorm2d`, which adds up all pixels in float32.

    Shapes: (B, K|G|, H, W), in channels-last order, to (K,) and (K,).
    """
    rows = maps.permute(0, 2, 3, 1).flatten(2)  # (B, H, W K|G|), without a copy
    means, variances = torch.ops.aten.batch_norm_update_stats(rows.mT[..., None], None, None, 0.0)
    means, variances = (value.double().view(maps.shape[3], -1, order) for value in (means, variances))
    mean = means.mean((0, 2))
    variance = (variances + (means - mean[:, None]).square()).mean((0, 2))
    return mean.to(maps.dtype), variance.to(maps.dtype)


class NormalizeOrbits(torch.autograd.Function):
    """y = weight (x - mean) / sqrt(variance + eps) + bias with one mean, variance, weight and bias per orbit.

    `apply(maps, weight, bias, mean, variance, order, eps)` takes the `statistics` of the maps. They are functions of the
    maps, so the gradient passes through them, too.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        order: int,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(maps, weight, bias, mean, variance)
        ctx.order, ctx.eps = order, eps
        return normalize(maps, mean, variance, weight, bias, order, eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, bias, mean, variance = ctx.saved_tensors
        order, eps, grad = ctx.order, ctx.eps, grads[0].contiguous(memory_format=torch.channels_last)
        if torch.is_grad_enabled():  # for gradients of gradients
            return *_differentiable_gradients(ctx, grad), None, None, None, None

        ones = torch.ones_like(mean) if weight is None else weight
        values = [_per_map(value, order) for value in (ones, mean, variance)]
        _, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            grad, maps, *values, None, None, False, eps, [False, True, True]
        )
        to_weight, to_bias = to_weight.view(-1, order).sum(1), to_bias.view(-1, order).sum(1)
        to_maps = None
        if ctx.needs_input_grad[0]:
            # scale (dy - mean(dy) - xhat mean(dy xhat)), with means over the pixels and maps of an orbit
            scale = ones * (variance + eps).rsqrt()
            means = -scale / (maps.numel() // len(mean)) * torch.stack([to_weight, to_bias])
            to_maps = normalize(maps, mean, variance, means[0], means[1], order, eps)
            to_maps.addcmul_(grad, _per_map(scale, order)[:, None, None])
        return to_maps, None if weight is None else to_weight, None if bias is None else to_bias, *4 * [None]


def _differentiable_gradients(ctx: Any, grad: Tensor) -> list[Tensor | None]:
    """The gradients in maps, weight and bias from operations that torch differentiates again."""
    tensors = ctx.saved_tensors[:3]
    maps, weight, bias = tensors
    wanted = [tensor for tensor, needed in zip(tensors, ctx.needs_input_grad, strict=False) if needed]
    normalized = batch_norm_of_orbits(maps, weight, bias, ctx.order, ctx.eps)
    found = iter(torch.autograd.grad(normalized, wanted, grad, create_graph=True))
    return [next(found) if needed else None for needed in ctx.needs_input_grad[:3]]


def batch_norm_of_orbits(
    maps: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    order: int,
    eps: float,
    running: tuple[Tensor | None, Tensor | None] = (None, None),
    momentum: float = 0.0,
) -> Tensor:
    """Batch normalisation with the statistics of the batch, the maps of an orbit as one channel, in any order of memory."""
    orbits = maps.reshape(maps.shape[0], -1, order * maps.shape[2] * maps.shape[3])
    return F.batch_norm(orbits, *running, weight, bias, True, momentum, eps).view(maps.shape)


def normalize(
    maps: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    order: int,
    eps: float,
) -> Tensor:
    """Normalisation with given statistics, (K,), in any order of memory."""
    values = (mean, variance, weight, bias)
    of_maps: Any = [None if value is None else _per_map(value, order) for value in values]
    return F.batch_norm(maps, *of_maps, training=False, eps=eps)


def _per_map(value: Tensor, order: int) -> Tensor:
    """One number per orbit, (K,), as one number per map, (K|G|,), in memory of its own: torch's kernels read no strides."""
    return value[:, None].expand(-1, order).flatten().contiguous()
