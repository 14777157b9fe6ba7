"""Actions of one data set on the dictionary of another."""

import pytest
import torch
from lgn_training.experiments.discovery_transfer import conjugate

from lgn_hf.discovery.held_out import relative_cost
from lgn_hf.nn import LinearGroup
from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_a_quick_run(tmp_path):
    result = run(tmp_path, "discovery-transfer")
    for row in result["rows"]:
        assert (row["found in"], row["explains"]) == ("rotated digits", "rotated digits")
        assert row["relative cost"] <= result["most"] < row["of a random conjugate"]


def test_an_action_explains_its_own_orbits_and_a_conjugate_does_not():
    rotation = LinearGroup.rotations(3).elements[1]
    basis = torch.randn(20, 9, dtype=torch.float64)
    atoms = torch.cat([basis @ g.T for g in LinearGroup.rotations(3).elements])
    held_out = atoms + 0.1 * torch.randn_like(atoms)
    assert relative_cost(atoms, held_out, rotation) == pytest.approx(1, abs=0.05)
    assert relative_cost(atoms, held_out, conjugate(rotation, 0)) > 3
