"""Symmetries of real images: what a row says, and the residual of a group of matrices."""

import pytest
import torch
from lgn_training.experiments.discovery_data import closedness, mean_residual

from lgn_hf.nn import LinearGroup
from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_a_row_for_the_digits(tmp_path):
    (row,) = run(tmp_path, "discovery-data")["rows"]
    assert (row["source"], row["filter"], row["points"]) == ("digits", 3, 27)
    assert row["found"] >= 0
    assert row["residual of D_4"] < row["of random conjugates, least"]


def test_atoms_that_are_orbits_have_no_residual():
    group = LinearGroup.dihedral(3)
    basis = torch.randn(6, 9, dtype=torch.float64)
    atoms = torch.einsum("gij,kj->kgi", group.elements, basis).flatten(0, 1)
    assert mean_residual(atoms, group.elements[1:]) < 1e-12
    found = closedness(atoms, 3)
    assert found["residual of D_4"] < 1e-12
    assert found["of random conjugates, least"] > 0.1
