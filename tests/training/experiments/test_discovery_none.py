"""Clouds without symmetry: their kinds, and a quick run."""

import pytest
import torch
from lgn_training.experiments.discovery_none import KINDS, smallest_p_value

from tests.training.experiments.quick_runs import run


@pytest.mark.parametrize("kind", KINDS)
def test_points_span_all_dimensions(kind):
    points = KINDS[kind](36, 9, torch.Generator().manual_seed(0))
    assert points.shape == (36, 9)
    assert torch.linalg.matrix_rank(points) == 9


def test_the_p_value_is_corrected_for_the_orders():
    null = {2: [0.5, 0.6, 0.7, 0.8], 3: [0.5, 0.6, 0.7, 0.8]}
    assert smallest_p_value(null, {2: 0.5, 3: 0.7}) == pytest.approx(2 * 2 / 5)
    assert smallest_p_value(null, {2: 0.01, 3: 0.7}) < 0.01


@pytest.mark.slow
def test_a_quick_run_counts_its_clouds(tmp_path):
    rows = run(tmp_path, "discovery-none")["rows"]
    assert [row["runs"] for row in rows] == [2, 2, 4]
    assert rows[-1]["false discoveries"] == rows[-1]["p <= 0.01"] == 0
    assert (tmp_path / "out" / "discovery-none.png").stat().st_size > 0
