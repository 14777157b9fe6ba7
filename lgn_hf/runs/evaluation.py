"""The results of a model that was trained elsewhere, in `evaluation.json`: what `evaluate_model.py --record` measured of it.

Such a model was trained with `transformers.Trainer`, for example, or in a loop of one's own. Its epochs, optimizer and seed
are not known, so the record has no fields for them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch

from .dataset_name import check_repo_id
from .json_record import JsonRecord
from .results import Results

EVALUATION_NAME = "evaluation.json"


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel(JsonRecord):
    """The model that was tested.

    Attributes:
        task: its name in `TASKS`.
        whitening: of its image processor.
        base_model: the repository of the model that its training started from; None if nobody said it.
        weights: their `weights_fingerprint`.
    """

    task: str
    whitening: str
    base_model: str | None = None
    weights: str


@dataclass(frozen=True, kw_only=True)
class EvaluationResults(Results):
    """The results of a model that was trained elsewhere.

    Attributes:
        trained: always `elsewhere`.
        options: how the test images were read: further options of `evaluate_model.py`, by name.
    """

    file_name = EVALUATION_NAME
    task_field = "model.task"

    trained: str = "elsewhere"
    model: EvaluatedModel
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any, where: str | None = None) -> EvaluationResults:
        """As `Results.from_json`. A base model that cannot be a repository is refused, too."""
        results = super().from_json(value, where)
        if results.model.base_model is not None:
            check_repo_id(results.model.base_model)
        return results

    @property
    def task_name(self) -> str:
        return self.model.task

    @property
    def whitening(self) -> str:
        return self.model.whitening


def weights_fingerprint(model: Any) -> str:
    """The SHA-256 of a model's weights: the same after saving and loading, another one after any training."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if "auxiliary" not in name:  # these are not saved
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
