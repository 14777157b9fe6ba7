"""Matrices of known structure are named, and random ones are not."""

from tests.training.experiments.quick_runs import run


def test_known_matrices_are_named_and_random_ones_are_not(tmp_path):
    rows = run(tmp_path, "known")["rows"]
    assert all(row["as known"] for row in rows if not row["noise"])
    assert [row["matrix"] for row in rows if not row["as known"]] == ["cyclic"]  # noise grows with every power
    assert all(row["label"] is None for row in rows if row["matrix"].startswith("random"))
