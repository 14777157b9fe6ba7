"""Actions on columns cannot do what Proposition 1 says."""

import pytest
import torch
from lgn_training.experiments.left_action_limits import best_left

from lgn_hf import LGNConfig, LGNForImageClassification
from tests.training.experiments.quick_runs import run


def test_the_best_left_action_is_the_nearest_one():
    matrix = torch.randn(16, 16, dtype=torch.float64)
    basis = torch.eye(16, dtype=torch.float64).view(16, 4, 4)
    spanning = torch.stack([torch.kron(torch.eye(4, dtype=torch.float64), b).flatten() for b in basis], dim=1)
    nearest = spanning @ torch.linalg.lstsq(spanning, matrix.flatten()[:, None]).solution
    torch.testing.assert_close(best_left(matrix, 4), nearest.view(16, 16))


def test_a_left_action_is_its_own_best():
    left = LGNForImageClassification(LGNConfig(action="left")).group_actions()[0, 0, 0].detach()
    torch.testing.assert_close(best_left(left, 6), left)


def test_proposition_1_in_numbers(tmp_path):
    rows = {row["operator"]: row for row in run(tmp_path, "limits")["rows"]}
    n = 6
    # The mean of the diagonal blocks of the swap is I but for 1 - 1/n at two corners; of transposition, I / n.
    kept = n * (n - 2 + 2 * (1 - 1 / n) ** 2)
    assert rows["corner swap"]["left"] == pytest.approx((1 - kept / n**2) ** 0.5)
    assert rows["transposition"]["left"] == pytest.approx((1 - 1 / n**2) ** 0.5)
    assert rows["up-down flip"]["left"] == 0  # it treats all columns alike
    assert max(row["vectorised"] for row in rows.values()) < 1e-12
    assert (tmp_path / "out" / "limits.png").stat().st_size > 0
