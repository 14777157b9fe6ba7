"""What `lgn_hf.model.unfolding` calls: whether the compiled layers suit a network, and their codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..model.convolutions import is_eager
from .autograd import Unfolding
from .compilation import library
from .settings import Settings

WIDE = {
    torch.float64: torch.float64,
    torch.float32: torch.float32,
    # Without matrix units a processor takes ten times as long for these as for float32.
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}


def suits(images: Tensor, filters: Tensor, norms: Sequence[nn.Module], padding: int) -> bool:
    """Whether the compiled layers can do the work of `unfold`, and do it faster.

    Networks in 16 bits, and networks under autocast on processors without matrix units, are computed in float32.
    """
    batch, _, height, width = images.shape
    rows, columns = (side + 2 * padding - filters.shape[-1] + 1 for side in (height, width))
    return (
        images.device.type == filters.device.type == "cpu"
        and images.dtype == filters.dtype
        and images.dtype in WIDE
        and batch * rows * columns > 1
        and 3 * columns > width + 2 * padding  # torch does dense networks, two matrix products per layer
        and all(_is_plain(norm, images) for norm in norms)
        and (not torch.is_autocast_enabled("cpu") or images.dtype != torch.float64)
        and is_eager()
        and library() is not None
    )


def _is_plain(norm: nn.Module, images: Tensor) -> bool:
    """Whether this module is batch normalisation and nothing else, without hooks."""
    return (
        type(norm) is nn.BatchNorm2d
        and norm.affine
        and norm.track_running_stats
        and norm.weight.dtype == images.dtype
        and norm.weight.device == images.device
        and not (norm._forward_hooks or norm._forward_pre_hooks or norm._backward_hooks or norm._backward_pre_hooks)
    )


def unfold_on_cpu(
    images: Tensor,
    filters: Tensor,
    thresholds: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    momentum: Sequence[float],
    step_size: float,
    padding: int,
    *,
    all_codes: bool = True,
) -> list[Tensor]:
    """What `lgn_hf.model.unfolding.unfold` returns, or its last code alone."""
    dtype, wide = images.dtype, WIDE[images.dtype]
    images, filters, thresholds = images.to(wide), filters.to(wide), thresholds.to(wide)
    weights, biases, means, variances = (
        torch.stack([getattr(norm, name).to(wide) for norm in norms])
        if norms
        else images.new_empty(0, thresholds.shape[1])
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    settings = Settings(
        momentum=(0.0, *momentum[1:]),  # the first code has no earlier one to accelerate from
        step_size=step_size,
        padding=padding,
        eps=tuple(norm.eps for norm in norms),
        batch_statistics=tuple(norm.training for norm in norms),
        all_codes=all_codes,
        with_gradient=torch.is_grad_enabled()
        and any(tensor.requires_grad for tensor in (images, filters, thresholds, weights, biases)),
    )
    means, variances, *codes = Unfolding.apply(
        images, filters, thresholds, weights, biases, means.detach(), variances.detach(), settings
    )
    count = codes[-1].numel() // codes[-1].shape[1]
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        if norm.training:
            _update_running_statistics(norm, mean, variance * (count / (count - 1)))
    return [code.to(dtype) for code in codes]


@torch.no_grad()
def _update_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None  # _is_plain has checked it
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)
