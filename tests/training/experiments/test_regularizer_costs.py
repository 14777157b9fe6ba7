"""Every regularizer is timed and trained."""

import pytest

from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_regularizers_quickly(tmp_path):
    rows = run(tmp_path, "regularizers")["rows"]
    assert [row["regularizer"] for row in rows] == ["untrained", "none", "inverse", "nuclear", "logdet"]
    for row in rows[1:]:
        assert row["step ms"] > 0
        assert 0 <= row["accuracy"]["median"] <= 1
    assert all(1 <= row["condition number"]["min"] <= row["condition number"]["max"] for row in rows)
    assert rows[1]["step / none"] == {"median": 1, "min": 1, "max": 1, "quartiles": [1, 1]}
