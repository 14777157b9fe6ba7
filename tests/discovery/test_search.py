"""The parts of a search: what a mismatch counts, and which sketches are kept."""

import math

import pytest
import torch

from lgn_hf.discovery.polish import order_within
from lgn_hf.discovery.search import _first_at_each_end, mismatch_of_points, num_cycles


def test_cycles_are_counted_with_fixed_points():
    assert num_cycles(torch.tensor([1, 0, 3, 4, 2, 5])) == 3


def test_an_action_has_the_order_of_its_permutation():
    permutation = torch.tensor([1, 2, 0, 4, 5, 3])
    assert [order_within(permutation, order) for order in (3, 6, 4)] == [3, 3, 4]
    assert order_within(torch.tensor([1, 0, 3, 4, 2, 5]), 6) == 6


def test_an_action_that_moves_few_points_is_fitted_more_freely():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    swap = torch.eye(4, dtype=torch.float64)[[1, 0, 2, 3]]
    points = torch.cat([half, half @ swap.T]) + 0.1 * torch.randn(24, 4, generator=generator, dtype=torch.float64)
    mates, rest = torch.arange(24).roll(12), torch.arange(24)
    one_pair = rest.clone()
    one_pair[[0, 12]] = torch.tensor([12, 0])

    def correction(permutation: torch.Tensor) -> float:
        moved = points @ swap.T
        ratio = (moved - points[permutation]).square().sum() / (moved - points).square().sum()
        return mismatch_of_points(points, swap, permutation, 2) / float(ratio)

    assert 1 < correction(mates) < 1.1
    assert correction(one_pair) == pytest.approx(4)  # 3 of 4 numbers are free
    assert mismatch_of_points(points, swap, rest, 2) == math.inf


def test_half_of_the_points_may_have_lost_their_images():
    half = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mirror = torch.diag(torch.tensor([-1.0, -1, -1, 1, 1, 1], dtype=torch.float64))
    points = torch.cat([half[:10], half @ mirror])
    permutation = torch.cat([torch.arange(10) + 10, torch.arange(10), torch.arange(20, 30).roll(1)])
    assert mismatch_of_points(points, mirror, permutation, 2, coverage=0.5) < 1e-6
    assert mismatch_of_points(points, mirror, permutation, 2) > 0.1


def test_the_best_of_each_end_comes_first_and_an_inverse_is_the_same_end():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    ends = torch.stack([turn, torch.eye(2), turn.T, -torch.eye(2), torch.eye(2)])
    assert _first_at_each_end(ends).tolist() == [True, True, False, True, False]
