"""The unfolded layers and their gradients as one function of autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .memory import pool
from .normalisation import Normalisation
from .planes import Planes
from .second_gradients import differentiable_gradients
from .settings import Settings


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
        settings: Settings,
    ) -> tuple[Tensor, ...]:
        layers, momentum = len(filters), settings.momentum
        planes = Planes(images, filters, settings.padding)
        norms = Normalisation(weights, biases, means.clone(), variances.clone(), settings.eps, layers)
        padded, bank, bias = planes.pad_images(images), filters.contiguous(), -settings.step_size * thresholds
        codes: list[Tensor] = []
        residuals = [padded]
        outputs: list[Tensor] = []
        for layer in range(layers):
            measured = layer < len(weights) and settings.batch_statistics[layer]
            moments = images.new_empty(*planes.codes[:2], 2) if measured else None
            code = pool.empty(planes.codes, planes.type.codes)
            residual = images.new_empty(planes.images) if layer else None
            planes.forward(
                images=padded,
                filters=bank[layer],
                bias=bias[layer],
                step=settings.step_size,
                **_code_before(codes, layer, momentum, norms),
                residuals=residual,
                codes=code,
                next_momentum=momentum[layer],
                moments=moments,
            )
            codes.append(code)
            if residual is not None:
                residuals.append(residual)
            if settings.all_codes or layer == layers - 1:
                outputs.append(planes.copy_codes(code, images.dtype))
            if not settings.with_gradient:  # the next layer needs two codes and no residual
                codes[:-2] = [code.new_empty(0)] * len(codes[:-2])
                residuals[1:] = []
            if moments is not None:
                norms.measure(layer, moments, planes.code_pixels)
        if settings.with_gradient:
            ctx.planes, ctx.settings = planes, settings
            inputs = (images, filters, thresholds, weights, biases)
            ctx.save_for_backward(*inputs, norms.means, norms.variances, *codes, *residuals)
            ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(norms.means, norms.variances)
        return (norms.means, norms.variances, *outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        images, filters, thresholds, weights, biases, means, variances, *kept = ctx.saved_tensors
        planes, settings, layers = ctx.planes, ctx.settings, len(filters)
        outer_gradients: list[Tensor | None] = [None] * (layers - len(grads[2:]))
        outer_gradients += grads[2:]
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (images, filters, thresholds, weights, biases)
            return (*differentiable_gradients(inputs, (means, variances), outer_gradients, settings), None, None, None)

        momentum, codes, residuals = (*settings.momentum[:-1], 0.0), kept[:layers], kept[layers:]
        batch, count, bank = len(images), len(images) * planes.code_pixels, filters.contiguous()
        norms = Normalisation(weights, biases, means, variances, settings.eps, layers)
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
                step=settings.step_size,
                **_code_before(codes, layer, momentum, norms),
                mean=norms.means[before] if normalised else None,
                deviation=norms.deviations[before] if normalised else None,
                next_momentum=momentum[layer],
                **flow,
                later_flow=later,
                later_momentum=momentum[layer + 1] if later is not None else 0.0,
                gradient=None if (grad := outer_gradients[layer]) is None else planes.pad_gradient(grad),
                previous_flow=previous_flow,
                image_gradient=image_gradient,
                filter_gradient=filter_gradient[layer],
                sums=sums[layer],
            )
            later_flow = flow.get("flow")
            if previous_flow is not None:
                flow = {"flow": previous_flow, "flow_scale": norms.scales[before]}
            if normalised and settings.batch_statistics[before]:
                _, plain, normal = sums[layer].sum(0).unbind(-1)
                slope, shift = norms.gradient_of_statistics(before, plain, normal, count)
                flow |= {"flow_slope": slope, "flow_shift": shift}
        relu, plain, normal = sums.sum(1).unbind(-1)
        return (
            None if image_gradient is None else planes.image_view(image_gradient),
            filter_gradient.sum(1),
            -settings.step_size * relu,
            normal[1 : len(weights) + 1],
            plain[1 : len(weights) + 1],
            None,
            None,
            None,
        )


def _code_before(codes: list[Tensor], layer: int, momentum: Sequence[float], norms: Normalisation) -> dict[str, Any]:
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
        "scale": norms.scales[layer - 1],
        "shift": norms.shifts[layer - 1],
    }
