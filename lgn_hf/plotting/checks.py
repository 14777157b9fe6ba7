"""What the figures refuse: arguments of another shape, or with entries that are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def checked(name: str, values: Tensor, shape: str, dims: tuple[int, ...], square: bool = False) -> Tensor:
    """The values in float64 on the CPU.

    Args:
        name, shape: what the message calls the values, and what it asks for.
        dims: the allowed numbers of dimensions.
        square: whether the last two dimensions must be equal.

    Raises:
        ValueError: the values are complex, have another shape, are none, or are not finite.
    """
    tensor = torch.as_tensor(values).detach().cpu()
    if tensor.is_complex():
        raise ValueError(f"{name} must be real, not {tensor.dtype}")
    if tensor.ndim not in dims or tensor.numel() == 0 or (square and tensor.shape[-1] != tensor.shape[-2]):
        raise ValueError(f"{name} of shape {tuple(tensor.shape)}; expected {shape}")
    tensor = tensor.double()
    expect_finite(name, tensor)
    return tensor


def checked_matrices(values: Tensor) -> Tensor:
    """(..., d, d) to (N, d, d), in float64 on the CPU."""
    matrices = checked("matrices", values, "(..., d, d)", tuple(range(2, 9)), square=True)
    return matrices.reshape(-1, *matrices.shape[-2:])


def filter_side(matrices: Tensor, size: int | None = None) -> int:
    """n, where matrices (N, d, d) act on n x n filters; `size` is what the caller says it is."""
    dim = matrices.shape[-1]
    found = math.isqrt(dim) if size is None else size
    if found**2 != dim:
        given = "" if size is None else f" and size={size}"
        raise ValueError(f"matrices are {dim} x {dim}{given}; an action on n x n filters is n² x n²")
    return found


def expect_fit(matrices: Tensor, name: str, size: int) -> None:
    """The matrices act on filters of this size."""
    dim = matrices.shape[-1]
    if dim != size**2:
        raise ValueError(
            f"matrices are {dim} x {dim}, but {name} of {size} x {size} pixels take {size**2} x {size**2}"
        )


def expect_order(order: int) -> None:
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order={order!r}; expected a whole number of at least 1")


def expect_finite(name: str, values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise ValueError(f"{name}: some entries are NaN or infinite")


def expect_count(name: str, texts: Sequence[str], count: int) -> None:
    """There is one text per panel."""
    if isinstance(texts, str) or len(texts) != count:
        given = repr(texts) if isinstance(texts, str) else len(texts)
        raise ValueError(f"{given} {name} for {count} panels; give one text for each")
