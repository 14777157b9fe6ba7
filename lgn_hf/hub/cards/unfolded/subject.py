"""What the figures of an unfolded network are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from matplotlib.figure import Figure

from ....actions import Actions
from ....plotting import action_figures


@dataclass
class ActionSubject:
    """What the figures of actions are drawn from.

    Attributes:
        actions: of the model.
        most: how many actions a figure shows at most; None: all.
    """

    actions: Actions
    most: int | None = None

    @property
    def is_rotation(self) -> bool:
        return self.actions.rotation_angle is not None and self.actions.order > 1

    @cached_property
    def of_learned_actions(self) -> Mapping[str, Figure]:
        """The figures of learned actions; none for rotations and for networks without groups."""
        is_learned = self.actions.rotation_angle is None and self.actions.order > 1
        return action_figures(self.actions, self.most) if is_learned else {}

    @cached_property
    def rotations(self) -> torch.Tensor:
        """The matrices of all rotations of a group, (p, d, d)."""
        one = self.actions[:1, :1, :1]
        return torch.stack([one.power(i)[0, 0, 0] for i in range(self.actions.order)])

    @property
    def angles(self) -> list[str]:
        return [f"{i * (self.actions.rotation_angle or 0):g}°" for i in range(self.actions.order)]

    @cached_property
    def filter_banks(self) -> dict[int, torch.Tensor]:
        """The filters of each layer, (K, p, C, n, n); none if groups have actions of their own, or filters are not known."""
        is_learned = self.actions.rotation_angle is None and self.actions.order > 1
        if self.actions.basis is None or (is_learned and not self.actions.shared[1]):
            return {}
        return dict(zip(self.actions.numbers[0], self.actions.orbit().transpose(2, 3), strict=True))
