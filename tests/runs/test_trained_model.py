"""What a trained model says of itself, from its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lgn_hf import Actions
from lgn_hf.runs.trained_model import TrainedModel


def trained_model(results: dict[str, Any]) -> TrainedModel:
    return TrainedModel("model", Actions(torch.eye(4)[None, None, None], 2), results, Path("model"))


def test_a_model_says_what_it_was_trained_on_and_for():
    found = trained_model({"recipe": {"dataset": "rotated:../data/mnist", "task": "classification"}})
    assert str(found.dataset) == "rotated:mnist"
    assert found.data_and_task == "classification of rotated:mnist"


@pytest.mark.parametrize("results", [{}, {"recipe": 3}, {"recipe": {"task": "classification", "dataset": ["mnist"]}}])
def test_a_model_whose_results_do_not_say_it_goes_by_its_own_name(results):
    assert trained_model(results).dataset is None
    assert trained_model(results).data_and_task == "model"
