"""The nearest known operation: planted ones are found, and noise is not."""

import numpy as np
import pytest
from lgn_training.experiments.known_matrices import D, N, draw

from lgn_hf.actions import MIN_Z, diagnose, nearest
from lgn_hf.model.filters import rotation_matrix


def test_reports_the_best_of_each_family():
    (records,) = nearest(rotation_matrix(N, 57)[None], N)
    assert len({record["operation"] for record in records}) == 3
    assert records[0]["operation"] == "rotation"
    assert records[0]["parameters"] == {"degrees": 57}
    assert records[0]["correlation"] == pytest.approx(1)
    assert [record["correlation"] for record in records] == sorted((r["correlation"] for r in records), reverse=True)


def test_a_negated_operation_is_named_as_such():
    (record,) = diagnose(-3 * rotation_matrix(N, 30)[None], N, null_samples=20)
    assert record["nearest"][0]["correlation"] == pytest.approx(-1)
    assert record["label"] == "negated rotation by 30 degrees"


def test_z_is_against_the_best_of_the_family():
    """360 rotations find something in noise; that is no discovery."""
    best = [records[0] for records in nearest(draw(30, D, D, seed=5), N)]
    assert max(abs(record["z"]) for record in best) < MIN_Z
    assert abs(np.mean([record["z"] for record in best])) < 2
