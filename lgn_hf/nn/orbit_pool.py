"""Pooling over the group."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from .learned_groups import GroupModule
from .linear_group import LinearGroup

MODES = ("max", "mean")


class OrbitPool2d(nn.Module):
    """The maximum or mean over each orbit. Maps of the result turn as images do; their group index is gone.

    Args:
        group: the group, of which only the order matters.
        mode: `"max"` or `"mean"`.

    Shapes: (B, K|G|, H, W) to (B, K, H, W).

    Raises:
        ValueError: the mode is unknown, or the number of maps is not a multiple of |G|.
    """

    transforms = ("orbits", "image")

    def __init__(self, group: LinearGroup | GroupModule, mode: Literal["max", "mean"] = "max"):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}: must be one of {', '.join(MODES)}")
        self.order, self.mode = group.order, mode

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[1] % self.order:
            raise ValueError(f"{input.shape[1]} maps: must be a multiple of |G| = {self.order}")
        orbits = input.unflatten(1, (-1, self.order))
        return orbits.amax(2) if self.mode == "max" else orbits.mean(2)

    def extra_repr(self) -> str:
        return f"|G|={self.order}, mode={self.mode!r}"
