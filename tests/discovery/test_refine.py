"""The most likely matrix, given the permutation."""

import pytest
import torch

from lgn_hf.discovery import cyclic_table, plant
from lgn_hf.discovery.refine import refined


@pytest.mark.parametrize(("order", "dim"), [(2, 9), (4, 16), (5, 16)])
def test_an_exact_action_with_repeated_eigenvalues_is_returned(order, dim):
    points, actions = plant(cyclic_table(order), dim, 3 * dim, 0.0, torch.Generator().manual_seed(0))
    permutation = torch.cdist(points @ actions[1].T, points).argmin(1)
    matrix, misfit = refined(points, permutation, order, actions[1])
    torch.testing.assert_close(matrix, actions[1])
    assert misfit < 1e-12
