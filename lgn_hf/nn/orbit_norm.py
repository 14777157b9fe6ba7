"""Batch normalisation that treats an orbit as one channel."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        for tensor, value in (
            (self.weight, 1),
            (self.bias, 0),
            (self.running_mean, 0),
            (self.running_var, 1),
            (self.num_batches_tracked, 0),
        ):
            if tensor is not None:
                nn.init.constant_(tensor, value)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or input.shape[1] != self.num_channels:
            raise ValueError(f"expected (B, {self.num_channels}, H, W), got {tuple(input.shape)}")
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # a plain average
                momentum = 1 / float(self.num_batches_tracked)
        if not self.training and self.running_mean is not None:
            per_map = [None if t is None else self._per_map(t) for t in self._statistics_and_affine()]
            return F.batch_norm(input, *per_map, False, 0.0, self.eps)
        # An orbit's maps become one channel.
        orbits = input.reshape(input.shape[0], -1, self.order * input.shape[2] * input.shape[3])
        output = F.batch_norm(orbits, *self._statistics_and_affine(), True, momentum or 0.0, self.eps)
        return output.view(input.shape)

    def _statistics_and_affine(self) -> tuple[Tensor | None, ...]:
        return self.running_mean, self.running_var, self.weight, self.bias

    def _per_map(self, per_orbit: Tensor) -> Tensor:
        return per_orbit[:, None].expand(-1, self.order).flatten()

    def extra_repr(self) -> str:
        return f"{self.num_channels}, |G|={self.order}, eps={self.eps}, momentum={self.momentum}"
