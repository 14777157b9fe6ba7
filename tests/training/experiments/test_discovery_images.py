"""Planted images: every method has its row, and what the searches by gradient descent may find."""

import pytest
import torch
from lgn_training.experiments.discovery_images import METHODS, nearest_error
from lgn_training.experiments.gradient_searches import (
    distribution_search,
    doubly_stochastic,
    orbit_search,
    shift_within_cycles,
)

from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_a_row_for_each_method(tmp_path):
    rows = run(tmp_path, "discovery-images")["rows"]
    assert [row["method"] for row in rows] == list(METHODS)
    assert all(row["found"] in (0, 1) and row["median error"] > 0 for row in rows)


def test_an_error_is_the_distance_to_the_nearest_matrix():
    near, far = torch.eye(4).double() * 1.1, -torch.eye(4).double()
    assert nearest_error([far, near], torch.eye(4).double()) == pytest.approx(0.1)
    assert nearest_error([], torch.eye(4).double()) == 1


def test_a_shift_within_cycles_has_its_order():
    shift = shift_within_cycles(10, 4)
    assert torch.equal(torch.linalg.matrix_power(shift, 4), torch.eye(10))
    assert torch.equal(shift[8:, 8:], torch.eye(2))
    assert not torch.equal(torch.linalg.matrix_power(shift, 2), torch.eye(10))


def test_a_doubly_stochastic_matrix_has_sums_of_1():
    matrix = doubly_stochastic(torch.randn(6, 6, dtype=torch.float64))
    assert matrix.min() > 0
    assert torch.allclose(matrix.sum(0), torch.ones(6, dtype=torch.float64))
    assert torch.allclose(matrix.sum(1), torch.ones(6, dtype=torch.float64), atol=0.05)


def test_a_cyclic_search_keeps_the_order_and_a_distribution_stays_orthogonal():
    data = torch.randn(300, 8)
    powers = orbit_search("cyclic", data, 3, 4, seed=0, steps=3)
    assert torch.allclose(powers[0] @ powers[2], torch.eye(8), atol=1e-3)
    for matrix in distribution_search(data, torch.nn.functional.normalize(torch.randn(20, 8)), seed=0, steps=3):
        assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-4)
