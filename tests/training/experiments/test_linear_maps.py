"""Least squares is exact, or of least norm."""

import torch
from lgn_training.experiments.linear_maps import least_squares, relative_error

from lgn_hf.actions import average_pooling
from lgn_hf.model.filters import rotation_matrix


def test_least_squares_is_exact_where_the_patches_span_everything():
    true = torch.stack([average_pooling(4, 3), rotation_matrix(4, 30)])
    inputs = torch.randn(40, 16, dtype=torch.float64)
    found, rank = least_squares(inputs, inputs @ true.mT)
    assert rank == 16
    assert relative_error(found, true).max() < 1e-12


def test_least_squares_has_the_least_norm_where_they_do_not():
    true = rotation_matrix(4, 30)
    inputs = torch.randn(10, 16, dtype=torch.float64)
    found, rank = least_squares(inputs, inputs @ true.mT[None])
    seen = torch.linalg.pinv(inputs) @ inputs
    assert rank == 10
    torch.testing.assert_close(found[0], true @ seen)
