"""What a linear map on filters can do: act on a filter or an image, its powers, its orbits."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.filters import rotation_matrix, unvec, vec


class LinearMaps:
    """Linear maps on n x n filters, phi_A(W) = vec^-1(A vec(W)) (LGN paper, eq. 8). The base of `Action` and `Actions`.

    The maps and what they act on broadcast against each other. One 6 x 6 filter under all actions
    of a network gives (L, K, C, 6, 6). So does the network's basis (L, K, C, 6, 6), each filter
    under its own action. All results are float64.

    Attributes:
        matrices: the generators A, (..., d, d), d = n^2.
        order: elements of the group, p.
        basis: the basis filters W of the network, (..., n, n), or None if they are unknown.
        rotation_angle: degrees, if the network rotates by multiples of this angle, see `power`;
            else None.
    """

    matrices: Tensor
    order: int
    basis: Tensor | None
    rotation_angle: float | None

    @property
    def dim(self) -> int:
        """d = n^2, the length of a vectorised filter."""
        return self.matrices.shape[-1]

    @property
    def size(self) -> int:
        """n, height and width of a filter, pixels."""
        return math.isqrt(self.dim)

    def power(self, exponent: int) -> Tensor:
        """A^i, (..., d, d), as the network uses it. i may be p or more, and negative if A is invertible.

        A network of rotations by theta (`rotation_angle`) rotates once by i * theta instead of
        rotating i times.
        """
        if self.rotation_angle is not None:
            return rotation_matrix(self.size, exponent * self.rotation_angle).expand(self.matrices.shape)
        return torch.linalg.matrix_power(self.matrices.double(), exponent)

    def apply(self, filters: Tensor, power: int = 1) -> Tensor:
        """The filters under A^power: (..., n, n) to (..., n, n).

        Raises:
            ValueError: the filters are not n x n, or do not broadcast against the actions.
        """
        if filters.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"filters have shape {tuple(filters.shape)}: these actions take (..., {self.size}, {self.size})"
            )
        self._check_broadcast("filters", filters)
        vectors = vec(filters.to("cpu", torch.float64))
        return unvec((self.power(power) @ vectors[..., None])[..., 0], self.size)

    def apply_to_image(self, image: Tensor, power: int = 1) -> Tensor:
        """Every n x n patch of an image under A^power, averaged where patches overlap: (..., H, W) to (..., H, W).

        The channels of a (C, H, W) image go to the actions of their channel.

        Raises:
            ValueError: the image is smaller than a filter, or does not broadcast against the actions.
        """
        if image.dim() < 2 or min(image.shape[-2:]) < self.size:
            raise ValueError(
                f"image has shape {tuple(image.shape)}: these actions take (..., height, width), "
                f"at least {self.size} x {self.size}"
            )
        self._check_broadcast("image", image)
        image = image.to("cpu", torch.float64)
        patches = image.unfold(-2, self.size, 1).unfold(-2, self.size, 1)  # (..., h, w, n, n)
        moved = self.power(power) @ vec(patches).flatten(-3, -2).mT  # (..., d, h*w)
        columns = unvec(moved.mT, self.size).flatten(-2).mT  # row-major patches, as `fold` takes them
        columns = columns.reshape(-1, *columns.shape[-2:])
        total, count = (F.fold(part, image.shape[-2:], self.size) for part in (columns, torch.ones_like(columns[:1])))
        return (total / count).reshape(*moved.shape[:-2], *image.shape[-2:])

    def orbit(self, basis: Tensor | None = None, powers: Iterable[int] | None = None) -> Tensor:
        """The orbits [W, phi_A(W), ..., phi_A^{p-1}(W)] (LGN paper, eq. 9): (..., n, n) to (..., p, n, n).

        Args:
            basis: the filters W. Defaults to the network's own.
            powers: the powers of A. Defaults to 0, ..., p-1.

        Raises:
            ValueError: no basis is given or known, or it does not fit (see `apply`).
        """
        basis = self.basis if basis is None else basis
        if basis is None:
            raise ValueError("these actions do not know their basis filters: pass the filters whose orbit you want")
        exponents = range(self.order) if powers is None else powers
        return torch.stack([self.apply(basis, exponent) for exponent in exponents], dim=-3)

    def _check_broadcast(self, name: str, tensor: Tensor) -> None:
        batch = self.matrices.shape[:-2]
        try:
            torch.broadcast_shapes(batch, tensor.shape[:-2])
        except RuntimeError:
            raise ValueError(
                f"{name} have shape {tuple(tensor.shape)}: the dimensions before the last two must broadcast "
                f"against the actions' {tuple(batch)}"
            ) from None
