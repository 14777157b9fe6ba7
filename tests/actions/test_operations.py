"""Known operations: each matrix against what it does to filters, written with NumPy and SciPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from lgn_hf.actions import (
    LARGEST_SIZE,
    Operation,
    average_pooling,
    blur,
    corner_swap,
    cycles,
    derivative,
    known_operations,
    shift,
    transposition,
)
from lgn_hf.model.filters import rotation_matrix, unvec, vec

SIZES = [2, 3, 5, 6]


def applied(matrix: torch.Tensor, filters: torch.Tensor) -> np.ndarray:
    return unvec(vec(filters) @ matrix.T, filters.shape[-2]).numpy()


def draw(size: int) -> torch.Tensor:
    return torch.randn(size, size, dtype=torch.float64)


def find(size: int, name: str, **parameters: float) -> Operation:
    (found,) = [o for o in known_operations(size) if o.name == name and o.parameters == parameters]
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("identity", {}, lambda w: w),
        ("reflection", {"axis": 0}, np.flipud),
        ("reflection", {"axis": 1}, np.fliplr),
        ("transpose", {}, np.transpose),
        ("anti_transpose", {}, lambda w: np.rot90(w, 2).T),
        ("rotation", {"degrees": 90}, np.rot90),
        ("rotation", {"degrees": 270}, lambda w: np.rot90(w, 3)),
    ],
)
def test_symmetries_of_the_square(size, name, parameters, expected):
    filters = draw(size)
    np.testing.assert_array_equal(applied(find(size, name, **parameters).matrix, filters), expected(filters.numpy()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("move", [(1, 0), (0, -1), (-1, 1)])
def test_shifts_lose_what_leaves_or_take_it_in_again(size, move):
    filters = draw(size)
    np.testing.assert_array_equal(
        applied(shift(size, *move), filters), ndimage.shift(filters.numpy(), move, order=0, mode="constant")
    )
    np.testing.assert_array_equal(
        applied(shift(size, *move, cyclic=True), filters), np.roll(filters.numpy(), move, (0, 1))
    )


@pytest.mark.parametrize("size", SIZES)
def test_average_pooling_is_the_mean_of_mirrored_windows(size):
    filters = draw(size)
    for radius in range(1, size + 1):
        before = (radius - 1) // 2
        padded = np.pad(filters.numpy(), (before, radius - 1 - before), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (radius, radius))
        np.testing.assert_allclose(applied(average_pooling(size, radius), filters), windows.mean((2, 3)), atol=1e-12)


@pytest.mark.parametrize("radius", [0, 7])
def test_pooling_windows_fit_the_filter(radius):
    with pytest.raises(ValueError, match=f"radius={radius}: .* 1 to 6"):
        average_pooling(6, radius)


def test_pool_rotate_pools_first():
    filters = draw(6)
    pooled = torch.from_numpy(applied(average_pooling(6, 3), filters))
    np.testing.assert_allclose(
        applied(find(6, "pool_rotate", radius=3, degrees=57).matrix, filters), applied(rotation_matrix(6, 57), pooled)
    )


@pytest.mark.parametrize("size", SIZES)
def test_blur_is_scipys_where_the_border_is_far_and_keeps_constants(size):
    impulse = torch.zeros(15, 15, dtype=torch.float64)
    impulse[7, 7] = 1
    expected = ndimage.gaussian_filter(impulse.numpy(), 1.0, truncate=7)
    np.testing.assert_allclose(applied(blur(15, 1.0), impulse), expected, atol=1e-8)
    np.testing.assert_allclose(applied(blur(size, 2.0), torch.ones(size, size, dtype=torch.float64)), 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("order", "kernel"), [(1, [-0.5, 0, 0.5]), (2, [1, -2, 1])])
def test_derivatives_are_differences_with_zeros_outside(size, axis, order, kernel):
    filters = draw(size)
    expected = ndimage.correlate1d(filters.numpy(), kernel, axis, mode="constant")
    np.testing.assert_allclose(applied(derivative(size, order, axis), filters), expected, atol=1e-12)


def test_first_derivatives_are_skew_symmetric():
    matrix = derivative(6, 1, 0)
    assert torch.equal(matrix, -matrix.T)


def test_cycles_have_their_order_and_leave_the_rest():
    matrix = cycles(9, 4, 1)
    coordinates = torch.arange(9, dtype=torch.float64)
    assert (matrix @ coordinates).tolist() == [3, 0, 1, 2, 7, 4, 5, 6, 8]
    assert torch.equal(torch.linalg.matrix_power(matrix, 4), torch.eye(9, dtype=torch.float64))
    assert torch.equal(cycles(9, 4, 3), torch.linalg.matrix_power(matrix, 3))


@pytest.mark.parametrize("size", SIZES)
def test_corner_swap_exchanges_two_pixels(size):
    filters = draw(size)
    expected = filters.numpy().copy()
    expected[0, 0], expected[-1, -1] = expected[-1, -1], expected[0, 0]
    np.testing.assert_array_equal(applied(corner_swap(size), filters), expected)


@pytest.mark.parametrize("size", SIZES)
def test_permutations_are_orthogonal(size):
    eye = torch.eye(size**2, dtype=torch.float64)
    for matrix in (transposition(size), corner_swap(size), cycles(size**2, 3, 1), shift(size, 1, 1, cyclic=True)):
        assert torch.equal(matrix @ matrix.T, eye)


class TestDictionary:
    def test_holds_every_family(self):
        names = {operation.name for operation in known_operations(6)}
        assert names == {
            "identity", "rotation", "reflection", "transpose", "anti_transpose", "shift", "cyclic_shift", "average_pool",
            "pool_rotate", "blur", "derivative", "permutation", "corner_swap",
        }  # fmt: skip

    def test_has_no_operation_twice(self):
        matrices = torch.stack([operation.matrix for operation in known_operations(4)]).flatten(1)
        matrices /= matrices.norm(dim=1, keepdim=True)
        cosines = (matrices @ matrices.T).fill_diagonal_(0)
        assert cosines.abs().max() < 1 - 1e-9

    @pytest.mark.parametrize(
        ("name", "parameters", "text"),
        [
            ("identity", {}, "identity"),
            ("rotation", {"degrees": 57}, "rotation by 57 degrees"),
            ("pool_rotate", {"radius": 3, "degrees": 57}, "rotation by 57 degrees after pooling r=3"),
            ("blur", {"sigma": 0.5}, "blur sigma=0.5"),
            ("shift", {"rows": -1, "columns": 2}, "shift by (-1, 2)"),
        ],
    )
    def test_operations_describe_themselves(self, name, parameters, text):
        assert find(6, name, **parameters).describe() == text

    def test_every_operation_has_a_text_of_its_own(self):
        texts = [operation.describe() for operation in known_operations(3)]
        assert len(set(texts)) == len(texts)

    @pytest.mark.parametrize("size", [0, LARGEST_SIZE + 1])
    def test_other_sizes_are_refused(self, size):
        with pytest.raises(ValueError, match=f"1 to {LARGEST_SIZE}, got size={size}"):
            known_operations(size)
