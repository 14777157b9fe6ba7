"""Planted symmetries are looked for with every network."""

import pytest
from lgn_training.experiments.planted_images import ORDERS, plant
from lgn_training.experiments.planted_symmetry import NETWORKS, planted_settings

from tests.training.experiments.quick_runs import run


@pytest.mark.slow
def test_planted_quickly(tmp_path):
    result = run(tmp_path, "planted")
    assert [row["action"] for row in result["rows"]] == ["free", "learned", "cyclic"]
    for row in result["rows"]:
        assert 0 < row["unexplained"] < 1.5
        assert 0 < row["filters"]["found"] <= 1
    assert result["rows"][0]["generator"] is None  # free filters have no generator
    assert result["rows"][1]["generator"].keys() == {"found", "chance"}
    assert len(result["data"]["fingerprint"]) == 1
    assert result["figures"] == ["planted.png"]


def test_every_full_setting_can_be_planted():
    settings = planted_settings(quick=False)
    for setting in {setting for setting, *_ in settings}:
        assert plant(setting, seed=0).images.isfinite().all()
    assert {(action, regularizer) for _, action, regularizer, _ in settings} == set(NETWORKS)
    assert {setting.symmetry for setting, *_ in settings} == set(ORDERS)
