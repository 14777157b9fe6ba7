"""Batch normalisation that treats an orbit as one channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..model.convolutions import is_eager
from .channels_last_norm import NormalizeOrbits, batch_norm_of_orbits, normalize, statistics
from .learned_groups import GroupModule
from .linear_group import LinearGroup


class OrbitNorm2d(nn.Module):
    """An `nn.BatchNorm2d` whose statistics, weight and bias are shared along each orbit, which keeps equivariance.

    Args:
        num_channels: maps, a multiple of |G|.
        group: the group, of which only the order matters.
        eps, momentum, affine, track_running_stats, device, dtype: as in `nn.BatchNorm2d`.

    Shapes: (B, K|G|, H, W) to the same. Parameters and running statistics have shape (K,).

    Raises:
        ValueError: the number of maps is not a multiple of |G|.
    """

    transforms = ("orbits", "orbits")

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_channels: int,
        group: LinearGroup | GroupModule,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if num_channels % group.order:
            raise ValueError(f"num_channels={num_channels}: must be a multiple of |G| = {group.order}")
        self.num_channels, self.order = num_channels, group.order
        self.eps, self.momentum = eps, momentum
        orbits = num_channels // group.order
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.ones(orbits, **factory)) if affine else None
        self.bias = nn.Parameter(torch.zeros(orbits, **factory)) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(orbits, **factory) if tracked else None)
        self.register_buffer("running_var", torch.ones(orbits, **factory) if tracked else None)
        counter = torch.tensor(0, dtype=torch.long, device=device)
        self.register_buffer("num_batches_tracked", counter if tracked else None)

    def reset_parameters(self) -> None:
        """Back to mean 0 and variance 1, weight 1 and bias 0."""
        for tensor, value in self.initial_values():
            nn.init.constant_(tensor, value)

    def reset_running_stats(self) -> None:
        """Back to mean 0 and variance 1, as `nn.BatchNorm2d` does."""
        for tensor, value in self.initial_values():
            if tensor is not self.weight and tensor is not self.bias:
                nn.init.constant_(tensor, value)

    def initial_values(self) -> list[tuple[Tensor, float]]:
        """The parameters and statistics, and the number that each starts with."""
        values = {
            "weight": 1,
            "bias": 0,
            "running_mean": 0,
            "running_var": 1,
            "num_batches_tracked": 0,
        }
        tensors = [(getattr(self, name), value) for name, value in values.items()]
        return [(tensor, value) for tensor, value in tensors if tensor is not None]

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or input.shape[1] != self.num_channels:
            raise ValueError(f"expected (B, {self.num_channels}, H, W), got {tuple(input.shape)}")
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # a plain average
                momentum = 1 / float(self.num_batches_tracked)
        weight, bias = self.weight, self.bias
        if not self.training and self.running_mean is not None and self.running_var is not None:
            return normalize(input, self.running_mean, self.running_var, weight, bias, self.order, self.eps)
        if self._takes_channels_last(input):
            mean, variance = statistics(input, self.order)
            self._update_running_stats(mean, variance, input.numel() // len(mean), momentum or 0.0)
            normalized: Any = NormalizeOrbits.apply(input, weight, bias, mean, variance, self.order, self.eps)
            return normalized
        running = (self.running_mean, self.running_var)
        return batch_norm_of_orbits(input, weight, bias, self.order, self.eps, running, momentum or 0.0)

    def _takes_channels_last(self, input: Tensor) -> bool:
        return (
            is_eager()  # first: vmap does not answer for the order of memory
            and input.device.type == "cpu"
            and input.dtype in (torch.float32, torch.float64)
            and (self.weight is None or self.weight.dtype == input.dtype)
            and input.is_contiguous(memory_format=torch.channels_last)
            and not input.is_contiguous()
        )

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, variance: Tensor, count: int, momentum: float) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), momentum)

    def extra_repr(self) -> str:
        return f"{self.num_channels}, |G|={self.order}, eps={self.eps}, momentum={self.momentum}"
