"""Group actions: how a generator A turns a basis filter W into its orbit W, AW, ..., A^{p-1}W.

An action is a linear map on vectorised filters, phi_A(W) = vec^-1(A vec(W)) ("Learning Linear Groups in Neural
Networks", eq. 8). Each kind of action is a subclass of `GroupAction`. To add one, write the subclass and list it in
`ACTION_KINDS`: the configuration, the model and the model card read everything else from the class.

Shapes: L layers, K groups, C channels, p = order, n x n filters, d = n*n. An action may be shared by layers, groups
or channels, so a batch of actions has L' = L or 1, K' = K or 1 and C' = C or 1.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .convolutions import is_eager
from .filters import inverse, random_unit_norm, rotation_matrix, solve_right, unit_norm

TRIALS = 64  # starts of S, of which the best conditioned is taken
LARGEST_CONDITION, SAME_ACTION = 1e4, 1e-3
SPARSE_FROM = 256  # d from which rotations, with four numbers in a row, are multiplied as sparse matrices


class GroupAction(nn.Module):
    """A batch of generators of one kind.

    Subclasses implement `generators`, and override `operators` and `orbit` where they know a faster way than powers of
    the generator. A new module holds no values yet: `reset_parameters` draws them.

    Args:
        order: filters per orbit, p.
        size: height and width n of a filter, pixels.
        batch_shape: (L', K', C').
        angle: degrees of one step, for rotations.

    Raises:
        ValueError: order, size and angle do not fit together.
    """

    name: ClassVar[str]  # the value of `action` in the configuration
    help: ClassVar[str]  # a few words for the command line
    default_regularizer: ClassVar[str] = "none"
    is_fixed: ClassVar[bool] = False  # whether A is given rather than learned
    is_group_by_construction: ClassVar[bool] = False  # whether orbits are those of a finite group before any training

    weight: nn.Parameter  # (L', K', C', *parameter_shape), of the kinds that learn

    def __init__(self, order: int, size: int, batch_shape: tuple[int, ...] = (1, 1, 1), angle: float | None = None):
        super().__init__()
        self.check(order, size, angle)
        self.order = order
        self.size = size
        self.batch_shape = batch_shape
        shape = self.parameter_shape(size)
        if shape is not None:
            self.weight = nn.Parameter(torch.empty(*batch_shape, *shape))

    @classmethod
    def check(cls, order: int, size: int, angle: float | None) -> None:
        """Raise a ValueError where order, size and angle do not fit together."""

    @classmethod
    def default_angle(cls, order: int) -> float | None:
        """Degrees of one step where the configuration names none; None for kinds that have no angle."""
        return None

    @classmethod
    def parameter_shape(cls, size: int) -> tuple[int, int] | None:
        """The shape of the matrix that is learned for each action, `weight`; None where nothing is learned."""
        return size**2, size**2

    @classmethod
    def num_parameters(cls, order: int, size: int) -> int:
        """Learned numbers per action."""
        return math.prod(cls.parameter_shape(size) or (0,))

    @classmethod
    def largest_tensor(cls, order: int, size: int, batch_shape: tuple[int, ...]) -> int:
        """Numbers in the largest tensor that a batch of actions holds or builds."""
        return math.prod(batch_shape) * size**4

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        """What a model card says of the kind, after it has introduced W and A."""
        raise NotImplementedError

    @property
    def dim(self) -> int:
        """d = n^2, the length of a vectorised filter."""
        return self.size**2

    def generators(self, like: Tensor) -> Tensor:
        """The generators A, (L', K', C', d, d), in the dtype and on the device of `like`."""
        raise NotImplementedError

    def operators(self, like: Tensor) -> Tensor:
        """The orbit operators I, A, ..., A^{p-1}: (L', K', C', p, d, d)."""
        generators = self.generators(like)
        powers = [torch.eye(self.dim, dtype=like.dtype, device=like.device).expand_as(generators)]
        for _ in range(self.order - 1):
            powers.append(generators @ powers[-1])
        return torch.stack(powers, dim=-3)

    def orbit(self, vectors: Tensor) -> Tensor:
        """The orbits of vectorised filters (eq. 9): (L, K, C, d) to (L, K, C, p, d)."""
        transposed = self.generators(vectors).flatten(0, 2).transpose(1, 2)
        # One batched product per power. Filters that share an action are the rows of one matrix.
        images = [vectors.reshape(len(transposed), -1, self.dim)]
        for _ in range(self.order - 1):
            images.append(torch.bmm(images[-1], transposed))
        return torch.stack(images, dim=-2).view(*vectors.shape[:-1], self.order, self.dim)

    def reset_parameters(self) -> None:
        """Draw the parameters and rebuild the constants.

        Implementations write through `transformers.initialization`, which leaves alone what a checkpoint has filled.
        """

    def start_at(self, matrix: Tensor) -> None:
        """Let every action of the batch be this matrix A, (d, d), with A^p = I.

        Raises:
            ValueError: actions of this kind cannot be A.
        """
        raise ValueError(f"action={self.name!r} cannot start at a given matrix")

    def project_(self, norm: float) -> None:
        """Scale every generator to Frobenius norm `norm`, in place; kinds that need no scaling do nothing."""


class IdentityAction(GroupAction):
    """The group of order 1: every filter is free, whatever kind the configuration names."""

    name = "identity"
    help = "no action"
    is_fixed = True
    is_group_by_construction = True

    @classmethod
    def parameter_shape(cls, size: int) -> None:
        return None

    @classmethod
    def largest_tensor(cls, order: int, size: int, batch_shape: tuple[int, ...]) -> int:
        return 0

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        return "There is no group structure: all filters of a layer are free."

    def generators(self, like: Tensor) -> Tensor:
        eye = torch.eye(self.dim, dtype=like.dtype, device=like.device)
        return eye.expand(*self.batch_shape, self.dim, self.dim)

    def orbit(self, vectors: Tensor) -> Tensor:
        return vectors.unsqueeze(-2).clone()


class LearnedAction(GroupAction):
    """A is a free matrix: the LGN."""

    name = "learned"
    help = "free matrices"
    default_regularizer = "inverse"

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        return "W and A are learned from the images. Nothing tells the network which symmetries to find."

    def generators(self, like: Tensor) -> Tensor:
        return self.weight.to(like.dtype)

    def reset_parameters(self) -> None:
        init.copy_(self.weight, random_unit_norm(self.weight))

    @torch.no_grad()
    def start_at(self, matrix: Tensor) -> None:
        self.weight.copy_(matrix.expand_as(self.weight))

    def project_(self, norm: float) -> None:
        self.weight.copy_(unit_norm(self.weight, norm))


class RotationAction(GroupAction):
    """Element i is the fixed bilinear rotation by i * angle, not the i-th power of one interpolated step.

    Source: "Learning unfolded networks with a cyclic group structure", eq. 5 and 6. Rotations by multiples of 90 degrees
    form a group exactly, others up to interpolation.
    """

    name = "rotation"
    help = "fixed rotations by multiples of rotation_angle"
    is_fixed = True
    is_group_by_construction = True

    rotations: Tensor  # (p, d, d)

    def __init__(self, order: int, size: int, batch_shape: tuple[int, ...] = (1, 1, 1), angle: float | None = None):
        super().__init__(order, size, batch_shape, angle)
        self.angle = self.default_angle(order) if angle is None else angle
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        self.register_buffer("rotations", self._build().to(dtype), persistent=False)
        self._sparse: Tensor | None = None  # the rotations below each other, (p * d, d)

    @classmethod
    def default_angle(cls, order: int) -> float:
        return 360 / order

    @classmethod
    def check(cls, order: int, size: int, angle: float | None) -> None:
        if angle is not None and abs(order * angle - 360) > 1e-6:
            fitting = 360 / angle
            raise ValueError(
                f"group_order={order} does not match rotation_angle={angle}: group_order * rotation_angle must be 360"
                + (f", so group_order={fitting:.0f}" if abs(fitting - round(fitting)) < 1e-9 else "")
            )

    @classmethod
    def parameter_shape(cls, size: int) -> None:
        return None

    @classmethod
    def largest_tensor(cls, order: int, size: int, batch_shape: tuple[int, ...]) -> int:
        return order * size**4

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        step = cls.default_angle(order)
        angles = ", ".join(f"{i * step:g}°" for i in range(order))
        return (
            f"Here A is the rotation by {step:g}°, so the filters of a group are W rotated by {angles}. "
            "The rotations are fixed; the basis filters are learned."
        )

    def _build(self) -> Tensor:
        return torch.stack([rotation_matrix(self.size, i * self.angle) for i in range(self.order)])

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if not self.rotations.is_meta:  # a cast alone would keep the rounding of the old dtype
            dtype = torch.promote_types(self.rotations.dtype, torch.float32)
            self.rotations = self._build().to(self.rotations.device, dtype)
        self._sparse = None
        return self

    def generators(self, like: Tensor) -> Tensor:
        step = self.rotations[1].to(like.dtype)
        return step.expand(*self.batch_shape, self.dim, self.dim)

    def operators(self, like: Tensor) -> Tensor:
        return self.rotations.to(like.dtype).expand(*self.batch_shape, self.order, self.dim, self.dim)

    def orbit(self, vectors: Tensor) -> Tensor:
        if self.dim < SPARSE_FROM or vectors.device.type not in ("cpu", "cuda") or not is_eager():
            return torch.einsum("pij,...j->...pi", self.rotations.to(vectors.dtype), vectors)
        if self._sparse is None:
            self._sparse = self.rotations.flatten(0, 1).to_sparse()
        images = torch.sparse.mm(self._sparse, vectors.reshape(-1, self.dim).mT.to(self._sparse.dtype))
        return images.mT.reshape(*vectors.shape[:-1], self.order, self.dim).to(vectors.dtype)

    def reset_parameters(self) -> None:
        init.copy_(self.rotations, self._build())


class LeftAction(GroupAction):
    """W -> A_n W: the n x n matrices of Proposition 1. On vec(W) they are I (x) A_n and treat every column alike."""

    name = "left"
    help = "I (x) A_n, which treats every column of a filter alike"
    default_regularizer = "inverse"

    @classmethod
    def parameter_shape(cls, size: int) -> tuple[int, int]:
        return size, size

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        return (
            f"Here A treats every column of the filter alike (W → A W, with a {size} × {size} matrix A) "  # noqa: RUF001
            "and cannot mix columns. W and A are learned from the images."
        )

    def generators(self, like: Tensor) -> Tensor:
        eye = torch.eye(self.size, dtype=like.dtype, device=like.device)
        blocks = eye[:, None, :, None] * self.weight.to(like.dtype)[..., None, :, None, :]  # (L', K', C', n, n, n, n)
        return blocks.reshape(*self.batch_shape, self.dim, self.dim)

    def orbit(self, vectors: Tensor) -> Tensor:
        transposed = self.weight.to(vectors.dtype).flatten(0, 2).transpose(1, 2)
        images = [vectors.reshape(len(transposed), -1, self.size)]  # the columns of all filters of an action
        for _ in range(self.order - 1):
            images.append(torch.bmm(images[-1], transposed))
        return torch.stack([image.view_as(vectors) for image in images], dim=-2)

    def reset_parameters(self) -> None:
        init.copy_(self.weight, random_unit_norm(self.weight, self.size**-0.5))

    def project_(self, norm: float) -> None:
        self.weight.copy_(unit_norm(self.weight, norm * self.size**-0.5))


class CyclicAction(GroupAction):
    """A = S P S^-1 with S learned and P a fixed permutation of order p, so that A^p = I by construction.

    P shifts by one within consecutive blocks of p coordinates. The d mod p coordinates left over stay.
    """

    name = "cyclic"
    help = "S P S^-1 with S learned and P a permutation: A^p = I by construction"
    is_group_by_construction = True

    @classmethod
    def check(cls, order: int, size: int, angle: float | None) -> None:
        if order > size**2:
            raise ValueError(
                f"group_order={order}: must be at most filter_size^2 = {size**2} for cyclic actions, "
                "which permute blocks of group_order pixels"
            )

    @classmethod
    def card_text(cls, order: int, size: int) -> str:
        return (
            "Here A = S P S⁻¹, where S is learned, starting near the identity, and P is a fixed permutation. A to the "
            f"power {order} is therefore the identity by construction; nothing else about A is prescribed. P shifts "
            f"every {order} consecutive pixels of vec(W) cyclically by one. If A still resembles P, that is where it "
            "started, not something it learned."
        )

    def permutations(self, device: torch.device) -> Tensor:
        """Where each coordinate of P^i v comes from, for i = 0..p-1: (p, d)."""
        moved = self.dim - self.dim % self.order
        coordinates = torch.arange(self.dim, device=device)
        powers = torch.arange(self.order, device=device)[:, None]
        shifted = coordinates - coordinates % self.order + (coordinates - powers) % self.order
        return torch.where(coordinates < moved, shifted, coordinates)

    def generators(self, like: Tensor) -> Tensor:
        basis = self.weight.to(like.dtype)
        step = self.permutations(like.device)[1 % self.order]
        return basis @ inverse(basis).index_select(-2, step)

    def operators(self, like: Tensor) -> Tensor:
        basis = self.weight.to(like.dtype)
        rows = inverse(basis).index_select(-2, self.permutations(like.device).flatten())
        return basis.unsqueeze(-3) @ rows.unflatten(-2, (self.order, self.dim))

    def orbit(self, vectors: Tensor) -> Tensor:
        transposed = self.weight.to(vectors.dtype).flatten(0, 2).transpose(1, 2)
        rows = vectors.reshape(len(transposed), -1, self.dim)  # filters that share an action are rows of one matrix
        coordinates = solve_right(transposed, rows)
        powers = coordinates.index_select(-1, self.permutations(vectors.device).flatten())  # (., rows, p * d)
        images = torch.bmm(powers.view(len(transposed), -1, self.dim), transposed)
        return images.view(*vectors.shape[:-1], self.order, self.dim)

    def reset_parameters(self) -> None:
        noise = random_unit_norm(self.weight)
        init.copy_(self.weight, torch.eye(self.dim, dtype=noise.dtype, device=noise.device) + noise)

    @torch.no_grad()
    def start_at(self, matrix: Tensor) -> None:
        """S is the mean of A^i X P^-i over the group, for an X that makes it well conditioned; then A S = S P."""
        a, order = matrix.double().cpu(), self.order
        powers = torch.stack([torch.linalg.matrix_power(a, i) for i in range(order)])
        shifts = torch.eye(self.dim, dtype=a.dtype)[self.permutations(a.device)]  # P^i
        trials = torch.randn(TRIALS, 1, self.dim, self.dim, dtype=a.dtype, generator=torch.Generator().manual_seed(0))
        bases = (powers @ trials @ shifts.mT).mean(1)
        conditions = torch.linalg.cond(bases)
        basis = bases[conditions.argmin()]
        step = basis @ shifts[1] @ torch.linalg.inv(basis)
        if not (conditions.min() < LARGEST_CONDITION and torch.dist(step, a) < SAME_ACTION * a.norm()):
            raise ValueError(
                f"action='cyclic' cannot start at this matrix: it is not S P S^-1 for a P that shifts {self.dim // order} "
                f"blocks of {order} coordinates, because its eigenvalues are others"
            )
        self.weight.copy_((basis / basis.norm() * self.dim**0.5).expand_as(self.weight))


# What `action` in the configuration can name.
ACTION_KINDS: dict[str, type[GroupAction]] = {
    kind.name: kind for kind in (LearnedAction, RotationAction, LeftAction, CyclicAction)
}


def action_kind(name: str, order: int) -> type[GroupAction]:
    """The kind that a configuration asks for. A group of order 1 holds the identity alone, whatever the name."""
    return IdentityAction if order == 1 else ACTION_KINDS[name]
