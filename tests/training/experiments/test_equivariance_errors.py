"""Symmetries of the grid make every layer equivariant; a learned action does not."""

import pytest

from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_errors_are_rounding_for_symmetries_of_the_grid_alone(tmp_path):
    rows = run(tmp_path, "equivariance")["rows"]
    assert len(rows) == 14
    limits = {"float64": 1e-10, "float32": 1e-5}
    for row in rows:
        for dtype, limit in limits.items():
            for state in ("untrained", "trained"):
                if row["actions"] == "all symmetries of the grid":
                    assert row[f"{dtype}, {state}"] < limit
    (learned,) = (r for r in rows if r["actions"] == "a learned C_4" and r["layer"] == "OrbitConv2d, lifting")
    assert learned["float64, trained"] > 0.1
