"""Filters are on where their code is not zero."""

import json

import pytest
import torch
from lgn_training.experiments.code_sparsity import active_shares

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from tests.training.experiments.quick_runs import SMALL, run


def test_filters_whose_threshold_is_out_of_reach_are_never_on(tmp_path):
    """And those with a very low one always; the others are on where their code is not zero, whatever its size."""
    folder = tmp_path / "model"
    model = LGNForImageClassification(LGNConfig(**SMALL, group_order=3))
    thresholds = torch.tensor([[1e6, 0.0, -1e6], [1e6, -1e6, -1e6]]).repeat(1, 2)  # layers by groups of three
    model.base_model.threshold.data.copy_(thresholds)
    model.save_pretrained(folder)
    LGNImageProcessor(8).save_pretrained(folder)
    recipe = {"recipe": {"dataset": "digits", "task": "classification"}}
    (folder / "all_results.json").write_text(json.dumps(recipe))

    rows = run(tmp_path, "codes", "--source", str(folder))["rows"]
    assert [(row["layer"], row["filters"]) for row in rows] == [(0, 6), (1, 6), ("all", 12)]
    assert rows[2]["never on"] == rows[0]["never on"] + rows[1]["never on"]
    assert rows[0]["never on, by power"][0] == rows[1]["never on, by power"][0] == 2
    assert rows[1]["never on, by power"] == [2, 0, 0]
    assert (rows[1]["never on"], rows[1]["always on"], rows[1]["non-zero"]) == (2, 4, pytest.approx(4 / 6))
    assert rows[0]["non-zero"] == pytest.approx(1 / 2, abs=0.17)
    assert [row["median threshold"] for row in rows[:2]] == [0.0, -1e6]

    images = torch.randn(3, 1, 8, 8)
    shares = active_shares(model, images)
    with torch.no_grad():
        hidden = model(images, output_hidden_states=True).hidden_states
    assert torch.equal(shares[0].flatten(), (hidden[0] > 0).double().mean((0, 2, 3)))
