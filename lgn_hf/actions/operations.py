"""Known linear operations on n x n filters, as d x d matrices on vec(W): what a learned action is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..model.filters import rotation_matrix

LARGEST_SIZE = 10  # of a dictionary: the matrices of all operations take 0.25 GB there, and grow as n^5
BLUR_SIGMAS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)

_TEXTS = {
    "identity": "identity",
    "rotation": "rotation by {degrees:g} degrees",
    "reflection": "reflection along axis {axis:g}",
    "transpose": "transposition",
    "anti_transpose": "transposition about the other diagonal",
    "shift": "shift by ({rows:g}, {columns:g})",
    "cyclic_shift": "cyclic shift by ({rows:g}, {columns:g})",
    "average_pool": "average pooling r={radius:g}",
    "pool_rotate": "rotation by {degrees:g} degrees after pooling r={radius:g}",
    "blur": "blur sigma={sigma:g}",
    "derivative": "derivative of order {order:g} along axis {axis:g}",
    "permutation": "permutation by {step:g} in cycles of {order:g}",
    "corner_swap": "corner swap",
}


@dataclass(frozen=True, eq=False)
class Operation:
    """A linear map of filters.

    Attributes:
        name: the family, such as `rotation`.
        parameters: what picks it out of its family, such as `{"degrees": 57}`.
        matrix: (d, d), float64, on column-major vec(W).

    Example:
        >>> Operation("pool_rotate", {"radius": 3, "degrees": 57}, torch.eye(36)).describe()
        'rotation by 57 degrees after pooling r=3'
    """

    name: str
    parameters: dict[str, float]
    matrix: Tensor

    def describe(self) -> str:
        return _TEXTS[self.name].format(**self.parameters)


def operation_text(name: str, parameters: dict[str, float]) -> str | None:
    """An operation of a record in words; None for one that this version does not know."""
    try:
        return _TEXTS[name].format(**parameters)
    except (KeyError, ValueError, TypeError):
        return None


@lru_cache(maxsize=4)
def known_operations(size: int) -> list[Operation]:
    """Every operation that an action on `size` x `size` filters is compared with, the plainest first.

    - `identity`; `rotation` by 1, 2, ..., 359 `degrees`, bilinear, counter-clockwise; `reflection`, which reverses
      `axis` 0 (the order of rows) or 1; `transpose` and `anti_transpose`, about either diagonal;
    - `shift` by up to n/2 `rows` (down) and `columns` (right), zeros coming in; `cyclic_shift` by any;
    - `average_pool` of `radius` 2..n; `pool_rotate`, that pooling first and then each rotation;
    - `blur`, a Gaussian of deviation `sigma` pixels; `derivative` of `order` 1 (central difference) or 2 along `axis`;
    - `permutation`: the shift by `step` within consecutive cycles of `order` coordinates of vec(W); `corner_swap`.

    A multiple of an earlier operation is left out, such as the shift by zero after the identity, and so is zero.

    Raises:
        ValueError: size below 1 or above `LARGEST_SIZE`.
    """
    if not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"known operations are those on filters of size 1 to {LARGEST_SIZE}, got size={size}")
    seen, operations = set(), []
    for operation in _all_operations(size):
        entries = operation.matrix.flatten()
        largest = entries[entries.abs().argmax()]
        if not largest:
            continue
        key = hash((entries / largest * 1e9).round().to(torch.int64).numpy().tobytes())
        if key not in seen:
            seen.add(key)
            operations.append(operation)
    return operations


def _all_operations(size: int) -> Iterator[Operation]:
    eye = torch.eye(size, dtype=torch.float64)
    dim = size**2

    yield Operation("identity", {}, torch.eye(dim, dtype=torch.float64))
    for axis in (0, 1):
        yield Operation("reflection", {"axis": axis}, along_axis(eye.flip(0), axis))
    yield Operation("transpose", {}, transposition(size))
    yield Operation("anti_transpose", {}, transposition(size).flip(0))
    rotations = {degrees: rotation_matrix(size, degrees) for degrees in range(1, 360)}
    for degrees, rotation in rotations.items():
        yield Operation("rotation", {"degrees": degrees}, rotation)

    reach = range(-(size // 2), size // 2 + 1)
    for rows in reach:
        for columns in reach:
            yield Operation("shift", {"rows": rows, "columns": columns}, shift(size, rows, columns))
    for rows in range(size):
        for columns in range(size):
            matrix = shift(size, rows, columns, cyclic=True)
            yield Operation("cyclic_shift", {"rows": rows, "columns": columns}, matrix)

    poolings = {radius: average_pooling(size, radius) for radius in range(2, size + 1)}
    for radius, pooling in poolings.items():
        yield Operation("average_pool", {"radius": radius}, pooling)
    for sigma in BLUR_SIGMAS:
        yield Operation("blur", {"sigma": sigma}, blur(size, sigma))
    for axis in (0, 1):
        for order in (1, 2):
            yield Operation("derivative", {"order": order, "axis": axis}, derivative(size, order, axis))

    for order in sorted({*range(2, min(dim, 8) + 1), dim}):
        for step in range(1, order):
            yield Operation("permutation", {"order": order, "step": step}, cycles(dim, order, step))
    yield Operation("corner_swap", {}, corner_swap(size))
    for radius, pooling in poolings.items():
        for degrees, rotation in rotations.items():
            yield Operation("pool_rotate", {"radius": radius, "degrees": degrees}, rotation @ pooling)


def along_axis(matrix: Tensor, axis: int) -> Tensor:
    """M (n, n) applied to every column of a filter (axis 0, W -> M W) or every row (axis 1, W -> W M^T): (d, d)."""
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.kron(eye, matrix) if axis == 0 else torch.kron(matrix, eye)


def transposition(size: int) -> Tensor:
    """W -> W^T: (d, d)."""
    coordinates = torch.arange(size**2).view(size, size).T.flatten()
    return torch.eye(size**2, dtype=torch.float64)[coordinates]


def shift(size: int, rows: int, columns: int, cyclic: bool = False) -> Tensor:
    """Move a filter down by `rows` and right by `columns`; what leaves is lost, or comes in again if `cyclic`: (d, d)."""
    pixels = torch.arange(size)

    def move(places: int) -> Tensor:
        distance = pixels[:, None] - pixels - places
        return (distance % size if cyclic else distance).eq(0).double()

    return torch.kron(move(columns), move(rows))


def average_pooling(size: int, radius: int) -> Tensor:
    """Each pixel becomes the mean of the `radius` x `radius` window around it, stride 1: (d, d).

    The borders are mirrored without the edge, and an even window reaches one pixel further down and to the right, as
    in the pooling of the paper's section 5.2 (footnote 2).

    Raises:
        ValueError: radius outside 1..size.
    """
    if not 1 <= radius <= size:
        raise ValueError(f"radius={radius}: the window must be 1 to {size} pixels wide on filters of size {size}")
    window = torch.arange(size)[:, None] + torch.arange(radius) - (radius - 1) // 2
    last = size - 1
    sources = last - (last - window.abs()).abs()  # mirrored at both ends
    weights = torch.zeros(size, size, dtype=torch.float64)
    weights.scatter_add_(1, sources, torch.full(sources.shape, 1 / radius, dtype=torch.float64))
    return torch.kron(weights, weights)


def blur(size: int, sigma: float) -> Tensor:
    """Gaussian smoothing, exp(-r^2 / (2 sigma^2)), the weights of each output pixel summing to 1: (d, d)."""
    pixels = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-((pixels[:, None] - pixels) ** 2) / (2 * sigma**2))
    weights /= weights.sum(1, keepdim=True)
    return torch.kron(weights, weights)


def derivative(size: int, order: int, axis: int) -> Tensor:
    """Central difference (W[i+1] - W[i-1]) / 2, or W[i+1] - 2 W[i] + W[i-1], along `axis`, zeros outside: (d, d)."""
    eye = torch.eye(size, dtype=torch.float64)
    after, before = eye.roll(1, 1).triu(1), eye.roll(-1, 1).tril(-1)
    return along_axis((after - before) / 2 if order == 1 else after - 2 * eye + before, axis)


def cycles(dim: int, order: int, step: int) -> Tensor:
    """The permutation of vec(W) that shifts by `step` within consecutive cycles of `order` coordinates: (d, d).

    The d mod p coordinates left over stay, as in the `cyclic` action.
    """
    coordinates = torch.arange(dim)
    moved = coordinates - coordinates % order + (coordinates - step) % order
    return torch.eye(dim, dtype=torch.float64)[torch.where(coordinates < dim - dim % order, moved, coordinates)]


def corner_swap(size: int) -> Tensor:
    """Exchange the top left and the bottom right pixel (Proposition 1): (d, d)."""
    coordinates = torch.arange(size**2)
    coordinates[[0, -1]] = coordinates[[-1, 0]]
    return torch.eye(size**2, dtype=torch.float64)[coordinates]
