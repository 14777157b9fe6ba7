"""Known linear operations on n x n filters, as d x d matrices on vec(W): what a learned action is compared with.

A family holds all operations of one name. It is registered once, with its text, beside the function
that yields its members. To add one, write such a function in this file. The families come in the
order of registration, the plainest first.

All matrices are float64 and act on column-major vec(W), d = n*n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..model.filters import rotation_matrix

LARGEST_SIZE = 10  # the matrices of all operations take 0.25 GB there, and grow as n^5
BLUR_SIGMAS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
LONGEST_CYCLE = 8  # of the permutations, besides one cycle of all d coordinates

Members = Callable[[int], Iterator[tuple[dict[str, float], Tensor]]]  # from n: parameters and matrix of each operation


@dataclass(frozen=True, eq=False)
class Operation:
    """A linear map of filters.

    Attributes:
        name: the family, such as `rotation`.
        parameters: the place in the family, such as `{"degrees": 57}`.
        matrix: (d, d), float64, on column-major vec(W).

    Example:
        >>> Operation("pool_rotate", {"radius": 3, "degrees": 57}, torch.eye(36)).describe()
        'rotation by 57 degrees after pooling r=3'
    """

    name: str
    parameters: dict[str, float]
    matrix: Tensor

    def describe(self) -> str:
        """The operation in words."""
        return _TEXTS[self.name].format(**self.parameters)


_TEXTS: dict[str, str] = {}
_MEMBERS: dict[str, Members] = {}


def _register_family(name: str, text: str) -> Callable[[Members], Members]:
    """Enter a function from n to all operations of a family. `text` may use their parameters."""

    def register(members: Members) -> Members:
        _TEXTS[name], _MEMBERS[name] = text, members
        return members

    return register


def operation_text(name: str, parameters: dict[str, float]) -> str | None:
    """An operation of a record in words, or None for one that this version does not know.

    Example:
        >>> operation_text("shift", {"rows": -1, "columns": 2})
        'shift by (-1, 2)'
    """
    try:
        return _TEXTS[name].format(**parameters)
    except (KeyError, ValueError, TypeError):
        return None


@lru_cache(maxsize=4)
def known_operations(size: int) -> list[Operation]:
    """Every operation that an action on `size` x `size` filters is compared with, the plainest first.

    - `identity`;
    - `reflection`, which reverses `axis` 0 (the order of rows) or 1;
    - `transpose` and `anti_transpose`, about either diagonal;
    - `rotation` by 1, 2, ..., 359 `degrees`, bilinear, counter-clockwise;
    - `shift` by up to n/2 `rows` (down) and `columns` (right), zeros coming in;
    - `cyclic_shift` by any number of `rows` and `columns`;
    - `average_pool` of `radius` 2, ..., n;
    - `blur`, a Gaussian of deviation `sigma`, pixels;
    - `derivative` of `order` 1 (central difference) or 2 along `axis`;
    - `permutation`, the shift by `step` within consecutive cycles of `order` coordinates of vec(W);
    - `corner_swap`, see the function;
    - `pool_rotate`, each pooling followed by each rotation.

    A multiple of an earlier operation is left out, such as the shift by zero after the identity. So
    is a zero matrix.

    Raises:
        ValueError: `size` is below 1 or above `LARGEST_SIZE`.
    """
    if not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"known operations act on filters of size 1 to {LARGEST_SIZE}, got size={size}")
    seen, operations = set(), []
    for name, members in _MEMBERS.items():
        for parameters, matrix in members(size):
            entries = matrix.flatten()
            largest = entries[entries.abs().argmax()]
            key = hash((entries / largest * 1e9).round().to(torch.int64).numpy().tobytes()) if largest else None
            if key is not None and key not in seen:
                seen.add(key)
                operations.append(Operation(name, parameters, matrix))
    return operations


def _eye(dim: int) -> Tensor:
    return torch.eye(dim, dtype=torch.float64)


def along_axis(matrix: Tensor, axis: int) -> Tensor:
    """M (n, n) applied to every column of a filter (axis 0, W -> M W) or every row (axis 1, W -> W M^T): (d, d)."""
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.kron(eye, matrix) if axis == 0 else torch.kron(matrix, eye)


# Symmetries of the square, rotations


@_register_family("identity", "identity")
def _identity(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    yield {}, _eye(size**2)


@_register_family("reflection", "reflection along axis {axis:g}")
def _reflections(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for axis in (0, 1):
        yield {"axis": axis}, along_axis(_eye(size).flip(0), axis)


def transposition(size: int) -> Tensor:
    """W -> W^T: (d, d)."""
    return _eye(size**2)[torch.arange(size**2).view(size, size).T.flatten()]


@_register_family("transpose", "transposition")
def _transposition(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    yield {}, transposition(size)


@_register_family("anti_transpose", "transposition about the other diagonal")
def _anti_transposition(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    yield {}, transposition(size).flip(0)


@_register_family("rotation", "rotation by {degrees:g} degrees")
def _rotations(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for degrees in range(1, 360):
        yield {"degrees": degrees}, rotation_matrix(size, degrees)


# Shifts


def shift(size: int, rows: int, columns: int, cyclic: bool = False) -> Tensor:
    """Move a filter down by `rows` and right by `columns`: (d, d).

    What leaves the filter is lost, or comes in again on the other side if `cyclic`.
    """
    pixels = torch.arange(size)

    def move(places: int) -> Tensor:
        distance = pixels[:, None] - pixels - places
        return (distance % size if cyclic else distance).eq(0).double()

    return torch.kron(move(columns), move(rows))


@_register_family("shift", "shift by ({rows:g}, {columns:g})")
def _shifts(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    reach = range(-(size // 2), size // 2 + 1)
    for rows in reach:
        for columns in reach:
            yield {"rows": rows, "columns": columns}, shift(size, rows, columns)


@_register_family("cyclic_shift", "cyclic shift by ({rows:g}, {columns:g})")
def _cyclic_shifts(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for rows in range(size):
        for columns in range(size):
            yield {"rows": rows, "columns": columns}, shift(size, rows, columns, cyclic=True)


# Smoothing and differences


def average_pooling(size: int, radius: int) -> Tensor:
    """Each pixel becomes the mean of the `radius` x `radius` window around it, stride 1: (d, d).

    This is the pooling of section 5.2 of the LGN paper (footnote 2): the borders are mirrored
    without the edge, and an even window reaches one pixel further down and to the right.

    Raises:
        ValueError: `radius` is outside 1, ..., size.
    """
    if not 1 <= radius <= size:
        raise ValueError(f"radius={radius}: the window must be 1 to {size} pixels wide on filters of size {size}")
    window = torch.arange(size)[:, None] + torch.arange(radius) - (radius - 1) // 2
    last = size - 1
    pixels = last - (last - window.abs()).abs()  # mirrored at both ends
    weights = torch.zeros(size, size, dtype=torch.float64)
    weights.scatter_add_(1, pixels, torch.full(pixels.shape, 1 / radius, dtype=torch.float64))
    return torch.kron(weights, weights)


@_register_family("average_pool", "average pooling r={radius:g}")
def _poolings(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for radius in range(2, size + 1):
        yield {"radius": radius}, average_pooling(size, radius)


def blur(size: int, sigma: float) -> Tensor:
    """Gaussian smoothing with weights exp(-r^2 / (2 sigma^2)), which sum to 1 for each output pixel: (d, d)."""
    pixels = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-((pixels[:, None] - pixels) ** 2) / (2 * sigma**2))
    weights /= weights.sum(1, keepdim=True)
    return torch.kron(weights, weights)


@_register_family("blur", "blur sigma={sigma:g}")
def _blurs(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for sigma in BLUR_SIGMAS:
        yield {"sigma": sigma}, blur(size, sigma)


def derivative(size: int, order: int, axis: int) -> Tensor:
    """Differences along `axis`, zeros outside the filter: (d, d).

    Order 1 is the central difference (W[i+1] - W[i-1]) / 2, order 2 is W[i+1] - 2 W[i] + W[i-1].
    """
    eye = _eye(size)
    after, before = eye.roll(1, 1).triu(1), eye.roll(-1, 1).tril(-1)
    return along_axis((after - before) / 2 if order == 1 else after - 2 * eye + before, axis)


@_register_family("derivative", "derivative of order {order:g} along axis {axis:g}")
def _derivatives(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    for axis in (0, 1):
        for order in (1, 2):
            yield {"order": order, "axis": axis}, derivative(size, order, axis)


# Permutations


def cycles(dim: int, order: int, step: int) -> Tensor:
    """The permutation of vec(W) that shifts by `step` within consecutive cycles of `order` coordinates: (d, d).

    The d mod `order` coordinates that are left over stay in place, as in the `cyclic` action.
    """
    coordinates = torch.arange(dim)
    moved = coordinates - coordinates % order + (coordinates - step) % order
    return _eye(dim)[torch.where(coordinates < dim - dim % order, moved, coordinates)]


@_register_family("permutation", "permutation by {step:g} in cycles of {order:g}")
def _permutations(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    dim = size**2
    for order in sorted({*range(2, min(dim, LONGEST_CYCLE) + 1), dim}):
        for step in range(1, order):
            yield {"order": order, "step": step}, cycles(dim, order, step)


def corner_swap(size: int) -> Tensor:
    """Exchange the top left and the bottom right pixel (LGN paper, Proposition 1): (d, d)."""
    coordinates = torch.arange(size**2)
    coordinates[[0, -1]] = coordinates[[-1, 0]]
    return _eye(size**2)[coordinates]


@_register_family("corner_swap", "corner swap")
def _corner_swap(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    yield {}, corner_swap(size)


# Compositions


@_register_family("pool_rotate", "rotation by {degrees:g} degrees after pooling r={radius:g}")
def _pooled_rotations(size: int) -> Iterator[tuple[dict[str, float], Tensor]]:
    rotations = list(_rotations(size))
    for pooled, pooling in _poolings(size):
        for rotated, rotation in rotations:
            yield {**pooled, **rotated}, rotation @ pooling
