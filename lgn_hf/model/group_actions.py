"""Group actions: how a generator A turns a basis filter into its orbit, for all layers, groups and channels at once.

An action is a linear map on vectorised filters, phi_A(W) = vec^-1(A vec(W)) ("Learning Linear Groups in Neural
Networks", eq. 8). Each kind is one module that turns its parameters into orbits; the network sees only filters.
Shapes: L layers with parameters of their own, K groups, C channels, p = order, n x n filters, d = n*n; of actions, L', K', C'
are those numbers, or 1 where all share theirs (`action_sharing`).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_lgn import LGNConfig
from .convolutions import is_eager
from .filters import rotation_matrix, unit_norm

SPARSE_FROM = 256  # d from which rotations, four numbers a row, are multiplied as sparse matrices


def random_unit_norm(like: Tensor, norm: float = 1.0) -> Tensor:
    """Gaussian matrices of Frobenius norm `norm`, shaped as `like`, in float32 at least."""
    return unit_norm(torch.randn_like(like, dtype=torch.promote_types(like.dtype, torch.float32)), norm)


class GroupAction(nn.Module):
    """Base of all kinds: the group of order 1, whose only element is the identity.

    Subclasses override `generators`, and more where they know a better way than powers of the generator.
    """

    is_learned = False  # whether the generators depend on parameters (which replicas of `DataParallel` do not list)

    def __init__(self, config: LGNConfig):
        super().__init__()
        self.order = config.group_order
        self.size = config.filter_size
        self.batch_shape = config.action_shape

    @property
    def dim(self) -> int:
        return self.size**2

    def generators(self, like: Tensor) -> Tensor:
        """The generators A, (L', K', C', d, d), in the dtype and on the device of `like`."""
        eye = torch.eye(self.dim, dtype=like.dtype, device=like.device)
        return eye.expand(*self.batch_shape, self.dim, self.dim)

    def operators(self, like: Tensor) -> Tensor:
        """The orbit operators I, A, ..., A^{p-1}: (L', K', C', p, d, d)."""
        generators = self.generators(like)
        powers = [torch.eye(self.dim, dtype=like.dtype, device=like.device).expand_as(generators)]
        for _ in range(self.order - 1):
            powers.append(generators @ powers[-1])
        return torch.stack(powers, dim=-3)

    def orbit(self, vectors: Tensor) -> Tensor:
        """The orbits of vectorised filters (eq. 9): (L, K, C, d) to (L, K, C, p, d)."""
        transposed = self.generators(vectors).flatten(0, 2).mT
        # One batch of products a power; filters that share an action are rows of one matrix.
        images = [vectors.reshape(len(transposed), -1, self.dim)]
        for _ in range(self.order - 1):
            images.append(torch.bmm(images[-1], transposed))
        return torch.stack(images, dim=-2).view(*vectors.shape[:-1], self.order, self.dim)

    def reset_parameters(self) -> None:
        """Draw the parameters and rebuild the constants (through `transformers.initialization`, which guards what a
        checkpoint has filled)."""

    def project_(self, norm: float) -> None:
        """Scale every generator to Frobenius norm `norm`, in place."""


class LearnedAction(GroupAction):
    """A free matrix, by default per (layer, group, channel): the LGN."""

    is_learned = True

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.weight = nn.Parameter(torch.empty(*self.batch_shape, self.dim, self.dim))

    def generators(self, like: Tensor) -> Tensor:
        return self.weight.to(like.dtype)

    def reset_parameters(self) -> None:
        init.copy_(self.weight, random_unit_norm(self.weight))

    def project_(self, norm: float) -> None:
        self.weight.copy_(unit_norm(self.weight, norm))


class LeftAction(GroupAction):
    """W -> A_n W: the n x n matrices of Proposition 1, I (x) A_n on vec(W), which treat every column alike."""

    is_learned = True

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.weight = nn.Parameter(torch.empty(*self.batch_shape, self.size, self.size))

    def generators(self, like: Tensor) -> Tensor:
        eye = torch.eye(self.size, dtype=like.dtype, device=like.device)
        blocks = eye[:, None, :, None] * self.weight.to(like.dtype)[..., None, :, None, :]  # (L', K', C', n, n, n, n)
        return blocks.reshape(*self.batch_shape, self.dim, self.dim)

    def orbit(self, vectors: Tensor) -> Tensor:
        transposed = self.weight.to(vectors.dtype).flatten(0, 2).mT
        images = [vectors.reshape(len(transposed), -1, self.size)]  # the columns of all filters of an action
        for _ in range(self.order - 1):
            images.append(torch.bmm(images[-1], transposed))
        return torch.stack([image.view_as(vectors) for image in images], dim=-2)

    def reset_parameters(self) -> None:
        init.copy_(self.weight, random_unit_norm(self.weight, self.size**-0.5))

    def project_(self, norm: float) -> None:
        self.weight.copy_(unit_norm(self.weight, norm * self.size**-0.5))


class RotationAction(GroupAction):
    """Element i is the fixed bilinear rotation by i*theta ("Learning unfolded networks with a cyclic group
    structure", eq. 5 and 6), not the i-th power of one interpolated step."""

    rotations: Tensor
    _sparse: Tensor | None  # of the rotations, (p * d, d)

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.angle = cast(float, config.rotation_angle)  # the configuration has filled it in
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        self.register_buffer("rotations", self._build().to(dtype), persistent=False)
        self._sparse = None

    def _build(self) -> Tensor:
        return torch.stack([rotation_matrix(self.size, i * self.angle) for i in range(self.order)])

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if not self.rotations.is_meta:  # a cast would keep the rounding of the old dtype
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


class CyclicAction(GroupAction):
    """A = S P S^-1 with S learned and P a fixed permutation of order p: A^p = I, and A is invertible, by construction.

    P shifts by one within consecutive blocks of p coordinates; the d mod p coordinates left over stay.
    """

    is_learned = True

    def __init__(self, config: LGNConfig):
        super().__init__(config)
        self.weight = nn.Parameter(torch.empty(*self.batch_shape, self.dim, self.dim))

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
        return basis @ torch.linalg.inv(basis).index_select(-2, step)

    def operators(self, like: Tensor) -> Tensor:
        basis = self.weight.to(like.dtype)
        rows = torch.linalg.inv(basis).index_select(-2, self.permutations(like.device).flatten())
        return basis.unsqueeze(-3) @ rows.unflatten(-2, (self.order, self.dim))

    def orbit(self, vectors: Tensor) -> Tensor:
        basis = self.weight.to(vectors.dtype).flatten(0, 2)
        rows = vectors.reshape(len(basis), -1, self.dim)  # filters that share an action are rows of one matrix
        coordinates = torch.linalg.solve(basis.mT, rows, left=False)
        powers = coordinates.index_select(-1, self.permutations(vectors.device).flatten())  # (., rows, p * d)
        images = torch.bmm(powers.view(len(basis), -1, self.dim), basis.mT)
        return images.view(*vectors.shape[:-1], self.order, self.dim)

    def reset_parameters(self) -> None:
        noise = random_unit_norm(self.weight)
        init.copy_(self.weight, torch.eye(self.dim, dtype=noise.dtype, device=noise.device) + noise)


ACTION_KINDS: dict[str, type[GroupAction]] = {
    "learned": LearnedAction,
    "left": LeftAction,
    "rotation": RotationAction,
    "cyclic": CyclicAction,
}


def make_action(config: LGNConfig) -> GroupAction:
    """The action that a configuration asks for; a group of order 1 has the identity alone, whatever the kind."""
    return GroupAction(config) if config.group_order == 1 else ACTION_KINDS[config.action](config)
