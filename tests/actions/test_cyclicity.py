"""Cyclicity: matrices whose order is known, and powers that stay apart or do not."""

import pytest
import torch
from lgn_training.experiments.known_matrices import D, draw, orthogonal

from lgn_hf.actions import cycles, cyclic_order, cyclic_residuals, power_separation


@pytest.mark.parametrize("order", [2, 3, 4, 7, 24])
def test_roots_of_the_identity_have_their_order(order):
    """In any basis and at any scale."""
    basis = orthogonal(D, D)
    residuals = cyclic_residuals(5 * basis @ cycles(D, order, 1) @ basis.T)
    assert residuals[order - 1] < 1e-6
    assert cyclic_order(residuals) == order
    assert (residuals[: order - 1] > 0.3).all()


def test_residuals_are_the_distance_to_multiples_of_the_identity():
    matrix = torch.eye(D, dtype=torch.float64) + draw(D, D) / D
    for q, residual in enumerate(cyclic_residuals(matrix, 5).tolist(), 1):
        power = torch.linalg.matrix_power(matrix, q)
        expected = (power - power.trace() / D * torch.eye(D, dtype=torch.float64)).norm() / power.norm()
        assert residual == pytest.approx(float(expected), abs=1e-9)


def test_minus_the_identity_has_order_2():
    residuals = cyclic_residuals(-torch.eye(4))
    assert residuals[0] == 1
    assert cyclic_order(residuals) == 2


def test_what_is_nearly_the_identity_has_order_1():
    assert cyclic_order(cyclic_residuals(torch.eye(D) + 0.01 * draw(D, D))) == 1


def test_nilpotent_and_zero_matrices_never_return():
    residuals = cyclic_residuals(torch.stack([torch.ones(4, 4).triu(1), torch.zeros(4, 4)]))
    assert (residuals == 1).all()


def test_powers_neither_overflow_nor_vanish():
    matrix = orthogonal(D, D)
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(cyclic_residuals(scale * matrix), cyclic_residuals(matrix))


def test_power_separation():
    """Orthogonal elements are 0.71 apart, a collapsed orbit 0, A and -A 1."""
    shift_by_1 = cycles(D, 4, 1)
    collapsed = torch.ones(D, D, dtype=torch.float64)
    assert power_separation(shift_by_1, 4) == pytest.approx(0.5**0.5)
    assert power_separation(collapsed, 4) == pytest.approx(0, abs=1e-6)
    assert power_separation(-torch.eye(D), 2) == 1
    assert power_separation(torch.stack([shift_by_1, collapsed]), 1).tolist() == [1, 1]
