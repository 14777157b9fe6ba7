"""Groups whose matrices are learned, with or without the group law.

Both stand wherever a `LinearGroup` stands in a module. They start at a group and keep its Cayley table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ..model.filters import inverse, random_unit_norm, unit_norm
from .linear_group import LinearGroup


class GroupModule(nn.Module, ABC):
    """What learned groups share: the group they start at, and a batch of them.

    Args:
        group: where the matrices start. Its Cayley table stays.
        batch_shape: of a batch of actions, one per orbit (K,) or one per orbit and input channel (K, C). Only the
            kind `"orbits"` of `OrbitConv2d` has use for a batch.
    """

    def __init__(self, group: LinearGroup, batch_shape: tuple[int, ...] = ()):
        super().__init__()
        self.start = group
        self.batch_shape = tuple(batch_shape)

    @property
    @abstractmethod
    def elements(self) -> Tensor:
        """The matrices, (*batch_shape, |G|, d, d), identity first, with gradients."""

    @property
    def order(self) -> int:
        return self.start.order

    @property
    def dim(self) -> int:
        return self.start.dim

    @property
    def filter_size(self) -> int | None:
        return self.start.filter_size

    @property
    def table(self) -> Tensor:
        return self.start.table

    @property
    def inverses(self) -> Tensor:
        return self.start.inverses

    @property
    def name(self) -> str:
        return self.start.name

    def group(self, tolerance: float = 1e-3) -> LinearGroup:
        """What was learned, as a group that does not change; for one action, not a batch.

        Raises:
            ValueError: the matrices do not satisfy the group law within `tolerance`.
        """
        return LinearGroup(self.elements, self.table, self.start.generator_indices, tolerance)

    def project_(self) -> None:
        """Scale the parameters in place, where the kind needs it; to be called after an optimiser's step."""

    def extra_repr(self) -> str:
        batch = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{self.name!r}, order={self.order}, dim={self.dim}{batch}"


class LearnedGroup(GroupModule):
    """rho(g) = S rho_0(g) S^-1 with S learned, so that the group law holds by construction.

    rho_0 is the group it starts at: `LinearGroup.cyclic(p, d)` gives the action S P S^-1 of the kind `"cyclic"`, and
    `LinearGroup.regular(table, d)` its generalisation to any Cayley table.

    Args:
        noise: Frobenius norm of the Gaussian that is added to S = I at the start; 0 starts at `group` exactly.
    """

    def __init__(
        self,
        group: LinearGroup,
        batch_shape: tuple[int, ...] = (),
        noise: float = 1.0,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(group, batch_shape)
        self.noise = noise
        self.basis = nn.Parameter(torch.empty(*batch_shape, group.dim, group.dim, device=device, dtype=dtype))
        self.register_buffer("initial", None, persistent=False)
        self.restore()
        self.reset_parameters()

    def restore(self) -> None:
        """Compute rho_0 anew, which is not saved, in the dtype of S but float32 at least."""
        dtype = torch.promote_types(self.basis.dtype, torch.float32)
        self.initial = self.start.elements.to(self.basis.device, dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> LearnedGroup:
        super()._apply(fn, recurse)
        self.restore()  # a cast alone would keep the rounding of the old dtype
        return self

    def reset_parameters(self) -> None:
        """Draw S = I + noise."""
        with torch.no_grad():
            self.basis.copy_(self.draw())

    def draw(self) -> Tensor:
        """A start for S, shaped like it."""
        noise = random_unit_norm(self.basis, self.noise)
        return torch.eye(self.dim, device=noise.device, dtype=noise.dtype) + noise

    @property
    def elements(self) -> Tensor:
        basis = self.basis.to(self.initial.dtype)[..., None, :, :]
        return basis @ self.initial @ inverse(basis)


class LearnedMatrices(GroupModule):
    """Free matrices for the generators; the other elements are their products. As in the papers, the law may fail.

    Element i of a cyclic group is A^i ("Learning Linear Groups in Neural Networks", eq. 9).

    Args:
        norm: what `project_` scales each generator to in Frobenius norm. By default sqrt(d), as of orthogonal matrices.
        draw: Gaussian matrices at the start; otherwise, the generators of `group`.
    """

    def __init__(
        self,
        group: LinearGroup,
        batch_shape: tuple[int, ...] = (),
        norm: float | None = None,
        draw: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(group, batch_shape)
        self.norm = group.dim**0.5 if norm is None else norm
        self.draw = draw
        shape = (*batch_shape, len(group.generator_indices), group.dim, group.dim)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.words = _words(group)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the generators, or copy those of the group."""
        with torch.no_grad():
            if self.draw:
                self.weight.copy_(random_unit_norm(self.weight, self.norm))
            else:
                self.weight.copy_(self.start.generators)

    @property
    def elements(self) -> Tensor:
        eye = torch.eye(self.dim, device=self.weight.device, dtype=self.weight.dtype)
        found = {0: eye.expand(*self.batch_shape, self.dim, self.dim)}
        for element, (generator, parent) in self.words.items():
            found[element] = self.weight[..., generator, :, :] @ found[parent]
        return torch.stack([found[element] for element in range(self.order)], dim=-3)

    @torch.no_grad()
    def project_(self) -> None:
        self.weight.copy_(unit_norm(self.weight, self.norm))


def _words(group: LinearGroup) -> dict[int, tuple[int, int]]:
    """Each element as a generator times an element that comes before it: {element: (generator, that element)}."""
    words: dict[int, tuple[int, int]] = {}
    frontier = [0]
    for parent in frontier:
        for position, generator in enumerate(group.generator_indices):
            element = int(group.table[generator, parent])
            if element != 0 and element not in words:
                words[element] = (position, parent)
                frontier.append(element)
    return words
