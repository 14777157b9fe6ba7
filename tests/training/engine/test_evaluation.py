"""A model and a split to metrics."""

from types import SimpleNamespace
from typing import Any

import torch
from lgn_training.data import ImageSet
from lgn_training.engine import evaluation

from lgn_hf import LGNConfig, LGNForImageClassification
from lgn_hf.runs.task import TASKS


def test_a_process_may_have_no_image(monkeypatch):
    """Two images among four processes: the last contributes nothing."""
    found = [(1, 1, 0.5), (0, 1, 1.5)]  # prediction, label and loss of each image of the others
    monkeypatch.setattr(evaluation, "gather_object", lambda own: own + found)
    accelerator: Any = SimpleNamespace(process_index=3, num_processes=4)
    model = LGNForImageClassification(LGNConfig(num_groups=2, num_layers=2, image_size=8, num_labels=3))
    images = ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([1, 1]))
    metrics = evaluation.evaluate_split(
        accelerator, model, images, lambda x: x.float(), task="classification", batch_size=5
    )
    assert metrics == {"accuracy": 0.5, "loss": 1.0}


def test_classes_are_counted_one_by_one():
    details = evaluation.classification_details(3, predictions=[0, 1, 1, 0], labels=[0, 0, 1, 0], losses=[0.0] * 4)
    assert details["confusion_matrix"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert details["class_accuracy"] == [2 / 3, 1.0, None]
    assert "confusion_matrix" not in evaluation.classification_details(101, [0], [0], [0.0])


def test_every_task_has_an_evaluator():
    assert evaluation.EVALUATORS.keys() == TASKS.keys()
