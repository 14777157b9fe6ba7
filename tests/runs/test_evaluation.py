"""What is recorded of a model that was trained elsewhere is read strictly, and belongs to its weights."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch

from lgn_hf import LGNForImageClassification
from lgn_hf.runs.evaluation import EvaluationResults, weights_fingerprint
from tests.conftest import ROOT
from tests.support.networks import make_used_model


@pytest.fixture
def values() -> dict[str, Any]:
    run = json.loads((ROOT / "model_cards" / "lgn-cifar10" / "all_results.json").read_text())
    shared = {name: run[name] for name in ("test_accuracy", "test_loss", "parameters", "machine", "versions", "date")}
    data = {"source": "uoft-cs/cifar10", "fingerprint": "0", "test": 10_000}
    model = {"task": "classification", "whitening": "none", "base_model": "user/base", "weights": "0"}
    return {**shared, "data": data, "trained": "elsewhere", "model": model, "options": {"image_size": 32}}


def test_fields_have_names_and_types(values):
    results = EvaluationResults.from_json(values)
    assert results.test("accuracy") == values["test_accuracy"]
    assert (results.task.name, results.whitening, results.data.test) == ("classification", "none", 10_000)
    assert results.to_json() == values


def test_new_results_start_with_the_metrics(values):
    results = EvaluationResults.from_json(values)
    fields = {name: getattr(results, name) for name in EvaluationResults.__dataclass_fields__ if name != "kept"}
    written = EvaluationResults(**fields).to_json()
    assert written == values
    assert [*written][:2] == ["test_accuracy", "test_loss"]


def test_a_base_model_may_be_unknown(values):
    del values["model"]["base_model"]
    assert EvaluationResults.from_json(values).to_json() == values


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("data", "test", None, "evaluation.json.data.test is None: must be int"),
        ("model", "task", "sorting", "evaluation.json.model.task is 'sorting': must be one of classification,"),
        ("model", "base_model", "no/such/name", "repo_id='no/such/name': must be USER/NAME"),
        (None, "test_accuracy", float("nan"), "evaluation.json.test_accuracy is nan: must be a number"),
        (None, "model", 3, "evaluation.json.model is 3: must be dict"),
    ],
)
def test_a_wrong_field_is_named(values, part, field, value, message):
    (values[part] if part else values)[field] = value
    with pytest.raises(ValueError, match=re.escape(message)):
        EvaluationResults.from_json(values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_have_the_same_fingerprint_after_saving_and_another_after_training(tmp_path, dtype):
    model = make_used_model("learned-free").to(dtype)
    before = weights_fingerprint(model)
    model.save_pretrained(tmp_path)
    assert weights_fingerprint(LGNForImageClassification.from_pretrained(tmp_path)) == before
    with torch.no_grad():
        model.classifier.bias[0] += 1
    assert weights_fingerprint(model) != before
