"""The unfolded layers and their gradients as one function of autograd."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.unfolding import unfold
from .memory import pool
from .planes import Planes


class Recipe(NamedTuple):
    """The arguments of an unfolding that are not tensors; see `lgn_hf.model.unfolding.unfold`."""

    momentum: tuple[float, ...]
    step_size: float
    padding: int
    eps: tuple[float, ...]
    batch_statistics: tuple[bool, ...]
    all_codes: bool
    with_gradient: bool


class Unfolding(torch.autograd.Function):
    """The codes of all layers, or the last one, and the statistics of batch normalisation that they used."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        filters: Tensor,
        thresholds: Tensor,
        weights: Tensor,
        biases: Tensor,
        means: Tensor,
        variances: Tensor,
        recipe: Recipe,
    ) -> tuple[Tensor, ...]:
        layers, momentum = len(filters), recipe.momentum
        planes = Planes(images, filters, recipe.padding)
        padded, bank, bias = planes.pad_images(images), filters.contiguous(), -recipe.step_size * thresholds
        means, variances = means.clone(), variances.clone()
        # y_{l+1} = scale u_l + shift; below, layers with batch statistics replace theirs
        scales = weights * (variances + variances.new_tensor(recipe.eps)[:, None]).rsqrt()
        shifts = biases - scales * means
        if layers > len(weights):
            scales = torch.cat([scales, torch.ones_like(thresholds[len(weights) :])])
            shifts = torch.cat([shifts, torch.zeros_like(thresholds[len(weights) :])])
        codes: list[Tensor] = []
        residuals = [padded]
        outputs: list[Tensor] = []
        for layer in range(layers):
            measured = layer < len(weights) and recipe.batch_statistics[layer]
            moments = images.new_empty(*planes.codes[:2], 2) if measured else None
            code = pool.empty(planes.codes, planes.type.codes)
            residual = images.new_empty(planes.images) if layer else None
            planes.forward(
                images=padded,
                filters=bank[layer],
                bias=bias[layer],
                step=recipe.step_size,
                **_code_before(codes, layer, momentum, scales, shifts),
                residuals=residual,
                codes=code,
                next_momentum=momentum[layer],
                moments=moments,
            )
            codes.append(code)
            if residual is not None:
                residuals.append(residual)
            if recipe.all_codes or layer == layers - 1:
                outputs.append(planes.copy_codes(code, images.dtype))
            if not recipe.with_gradient:  # the next layer needs two codes and no residual
                codes[:-2] = [code.new_empty(0)] * len(codes[:-2])
                residuals[1:] = []
            if moments is not None:
                means[layer], variances[layer] = _combine(moments, planes.code_pixels)
                scales[layer] = weights[layer] * (variances[layer] + recipe.eps[layer]).rsqrt()
                shifts[layer] = biases[layer] - scales[layer] * means[layer]
        if recipe.with_gradient:
            ctx.planes, ctx.recipe = planes, recipe
            inputs = (images, filters, thresholds, weights, biases)
            ctx.save_for_backward(*inputs, means, variances, scales, shifts, *codes, *residuals)
            ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(means, variances)
        return (means, variances, *outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        images, filters, thresholds, weights, biases, means, variances, scales, shifts, *kept = ctx.saved_tensors
        planes, recipe, layers = ctx.planes, ctx.recipe, len(filters)
        outer: list[Tensor | None] = [None] * (layers - len(grads[2:]))
        outer += grads[2:]
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (images, filters, thresholds, weights, biases)
            return (*_differentiable_gradients(inputs, (means, variances), outer, recipe), None, None, None)

        momentum, codes, residuals = (*recipe.momentum[:-1], 0.0), kept[:layers], kept[layers:]
        batch, count, bank = len(images), len(images) * planes.code_pixels, filters.contiguous()
        deviations = (variances + variances.new_tensor(recipe.eps)[:, None]).rsqrt()
        image_gradient = images.new_zeros(planes.images) if ctx.needs_input_grad[0] else None
        filter_gradient = bank.new_empty(layers, planes.parts, *bank.shape[1:])
        sums = bank.new_zeros(layers, batch, thresholds.shape[1], 3)
        flow: dict[str, Tensor] = {}  # dL/dy_{l+1}, and the scale, slope and shift that turn it into dL/du_l
        later_flow = None
        for layer in reversed(range(layers)):
            before = layer - 1
            normalised = 0 <= before < len(weights)
            previous_flow = pool.empty(planes.codes, planes.type.codes) if layer else None
            later = later_flow if layer + 1 < layers and momentum[layer + 1] else None
            planes.backward(
                residuals=residuals[layer],
                codes=codes[layer],
                filters=bank[layer],
                step=recipe.step_size,
                **_code_before(codes, layer, momentum, scales, shifts),
                mean=means[before] if normalised else None,
                deviation=deviations[before] if normalised else None,
                next_momentum=momentum[layer],
                **flow,
                later_flow=later,
                later_momentum=momentum[layer + 1] if later is not None else 0.0,
                gradient=None if (grad := outer[layer]) is None else planes.pad_gradient(grad),
                previous_flow=previous_flow,
                image_gradient=image_gradient,
                filter_gradient=filter_gradient[layer],
                sums=sums[layer],
            )
            later_flow = flow.get("flow")
            if previous_flow is not None:
                flow = {"flow": previous_flow, "flow_scale": scales[before]}
            if normalised and recipe.batch_statistics[before]:
                _, plain, normal = sums[layer].sum(0).unbind(-1)
                slope = -scales[before] * deviations[before] * normal / count
                shift = -scales[before] * plain / count - slope * means[before]
                flow |= {"flow_slope": slope, "flow_shift": shift}
        relu, plain, normal = sums.sum(1).unbind(-1)
        return (
            None if image_gradient is None else planes.image_view(image_gradient),
            filter_gradient.sum(1),
            -recipe.step_size * relu,
            normal[1 : len(weights) + 1],
            plain[1 : len(weights) + 1],
            None,
            None,
            None,
        )


def _code_before(
    codes: list[Tensor], layer: int, momentum: Sequence[float], scales: Tensor, shifts: Tensor
) -> dict[str, Any]:
    """What a layer reads of the codes before it.

    y_l = scale u_{l-1} + shift, with u_{l-1} = z_{l-1} + beta (z_{l-1} - z_{l-2}).
    """
    if layer == 0:
        return {}
    has_momentum = layer > 1 and momentum[layer - 1] != 0
    return {
        "previous": codes[layer - 1],
        "before": codes[layer - 2] if has_momentum else None,
        "momentum": momentum[layer - 1] if has_momentum else 0.0,
        "scale": scales[layer - 1],
        "shift": shifts[layer - 1],
    }


def _combine(moments: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of all images, (F,) and (F,), from mean and centred sum of squares of each, (B, F, 2)."""
    means, squares = moments.double().unbind(-1)
    mean = means.mean(0)
    variance = (squares / count + (means - mean).square()).mean(0)
    return mean.to(moments.dtype), variance.to(moments.dtype)


def _differentiable_gradients(
    inputs: tuple[Tensor, ...], statistics: tuple[Tensor, Tensor], outer: list[Tensor | None], recipe: Recipe
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
            weights, biases, *statistics, recipe.eps, recipe.batch_statistics, strict=True
        )
    ]
    codes = unfold(images, filters, thresholds, norms, recipe.momentum, recipe.step_size, recipe.padding)
    reached = [(code, grad) for code, grad in zip(codes, outer, strict=True) if grad is not None]
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
