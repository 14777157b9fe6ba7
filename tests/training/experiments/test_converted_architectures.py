"""Networks of transformers survive conversion."""

import json

import pytest

from tests.conftest import ROOT
from tests.training.experiments.quick_runs import run


def check(rows: list[dict]) -> None:
    for row in rows:
        if row["converted"]:
            assert row["|merged - converted|"] <= 1e-5, row
            assert row["same keys"] == "yes", row
            assert row["without gradient"] == 0, row


@pytest.mark.slow
def test_networks_are_converted_trained_and_merged(tmp_path):
    rows = run(tmp_path, "architectures")["rows"]
    check(rows)
    converted = {row["architecture"]: row["converted"] for row in rows}
    assert converted["BiT"] == 0
    assert converted["ViT"] == 1
    assert converted["ResNet"] == 9


def test_the_committed_result_has_twenty_architectures():
    folder = ROOT / "training" / "lgn_training" / "experiments" / "measured" / "architectures"
    rows = json.loads((folder / "result.json").read_text())["rows"]
    check(rows)
    assert sum(row["converted"] > 0 for row in rows) >= 20
