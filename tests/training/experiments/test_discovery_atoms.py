"""Planted groups: their tables, the estimate that is told the permutation, and a quick run."""

import pytest
import torch
from lgn_training.experiments.discovery_atoms import GENERATORS, SEEDS, cells, relative_error, table_of, told_actions

from lgn_hf.discovery import plant
from lgn_hf.nn.naming import group_name
from tests.training.experiments.quick_runs import run


@pytest.mark.parametrize("name", GENERATORS)
def test_every_group_is_planted_under_its_name(name):
    assert group_name(table_of(name)) == name


@pytest.mark.parametrize("name", ["C_4", "D_4"])
def test_told_the_permutation_only_noise_is_left(name):
    def planted(noise: float):
        return plant(table_of(name), 9, 36, noise, torch.Generator().manual_seed(0))

    (clean, actions), (noisy, _) = planted(0.0), planted(0.2)
    for points, most in ((clean, 1e-6), (noisy, 0.2)):
        told = told_actions(points, clean, actions)
        assert max(relative_error(a, b) for a, b in zip(told, actions[1:], strict=True)) < most


def test_every_group_is_searched_at_every_dimension_and_no_setting_twice():
    planned = cells(quick=False)
    assert len({cell for cell, _ in planned}) == len(planned)
    assert sum(cell.ratio == 3 and cell.noise == 0.2 for cell, _ in planned) == len(GENERATORS) * len(SEEDS)


@pytest.mark.slow
def test_an_exact_mirror_is_found(tmp_path):
    noisy, exact = run(tmp_path, "discovery-atoms")["rows"]
    assert exact["found"] == exact["error < 5 %"] == 1
    assert exact["median error"] < 1e-4
    assert noisy["told"] > 0.02
    assert (tmp_path / "out" / "discovery-atoms.png").stat().st_size > 0
