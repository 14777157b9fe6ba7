"""What a search found, and what it would have found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class FoundAction:
    """A linear symmetry of the points.

    Attributes:
        matrix: (d, d), float64; point w goes to matrix @ w.
        permutation: (N,), row k of the input goes to row permutation[k]; rows that were left out stay.
        order: the smallest p with matrix^p = I.
        residual: sum_k |Q u_k - u_pi(k)|^2 / sum_k |u_k|^2, whitened points u and Q orthogonal.
        mismatch: the number that is compared with the null.
        p_value: the chance of such a mismatch without symmetry, times the number of orders tried.
        held_out: cost(A) / cost(1) on held-out points (see `held_out`), about 1 for a symmetry; None if there are none.
        nearest: the nearest known operations, best first, where d is a square; else None.
    """

    matrix: Tensor
    permutation: Tensor
    order: int
    residual: float
    mismatch: float
    p_value: float
    held_out: float | None = None
    nearest: list[dict[str, Any]] | None = None

    def __str__(self) -> str:
        text = f"order {self.order}, residual {self.residual:.3f}, p {self.p_value:.1e}"
        if self.held_out is not None:
            text += f", held out {self.held_out:.2f}"
        if self.nearest:
            best = self.nearest[0]
            text += f", nearest {best['operation']} (correlation {best['correlation']:.2f})"
        return text


@dataclass(frozen=True)
class Power:
    """What the search would have found: planted symmetries at this N and d.

    Attributes:
        noise: of the planted points, as a share of their norm.
        residual: the mean residual that this noise leaves.
        rates: order -> share of trials in which the planted symmetry beat the null.
        trials: per order.
    """

    noise: float
    residual: float
    rates: dict[int, float]
    trials: int

    @property
    def rate(self) -> float:
        return sum(self.rates.values()) / max(1, len(self.rates))


@dataclass(frozen=True, eq=False)
class Discovery:
    """The result of `discover`.

    Attributes:
        actions: every symmetry that beats its null, best first.
        group: the group that they close to, or None.
        determined: False where the points cannot tell, with `reason`.
        null: order -> the mismatches of the same search without symmetry.
        best: order -> the smallest mismatch of the search on the points.
        power: what would have been found, or None if it was not measured.
        alpha: the threshold of the p-values, fixed before the search.
        notes: what was changed about the input.
    """

    actions: list[FoundAction]
    group: Any
    determined: bool
    reason: str
    num_points: int
    dim: int
    alpha: float
    orders: tuple[int, ...]
    null: dict[int, list[float]] = field(default_factory=dict)
    best: dict[int, float] = field(default_factory=dict)
    power: Power | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The result in a few sentences."""
        lines = []
        if not self.determined:
            lines.append(f"Cannot be determined: {self.reason}.")
        elif self.actions:
            name = f", the group {self.group.name}" if self.group is not None else ""
            count = len(self.actions)
            lines.append(
                f"{count} action{'s' if count > 1 else ''} found in {self.num_points} points of dimension {self.dim}{name}."
            )
            lines += [f"  {action}" for action in self.actions]
        else:
            lines.append(
                f"None found: no symmetry of order {_range(self.orders)} of {self.num_points} points of dimension {self.dim} beats "
                f"the null at p <= {self.alpha:g}."
            )
        if self.determined and self.power is not None:
            lines.append(
                f"A symmetry with residual {self.power.residual:.2f} (noise of {self.power.noise:.0%} of each norm) would have been "
                f"found in {self.power.rate:.0%} of trials."
            )
        lines += [f"Note: {note}." for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def _range(orders: tuple[int, ...]) -> str:
    if len(orders) > 2 and orders == tuple(range(orders[0], orders[-1] + 1)):
        return f"{orders[0]} to {orders[-1]}"
    return ", ".join(map(str, orders))
