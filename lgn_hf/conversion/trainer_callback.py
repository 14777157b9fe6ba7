"""The hooks under `transformers.Trainer`."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .hooks import Attachment, attach


class AttachCallback(TrainerCallback):
    """Calls `attach` on the Trainer's model and optimizer for the time of a training.

    Args:
        regularizer: as in `attach`.
        regularizer_weight: as in `attach`.
    """

    def __init__(self, regularizer: str = "none", regularizer_weight: float | None = None):
        self.regularizer, self.regularizer_weight = regularizer, regularizer_weight
        self._attachment: Attachment | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._attachment = attach(kwargs["model"], kwargs["optimizer"], self.regularizer, self.regularizer_weight)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._attachment is not None:
            self._attachment.remove()
            self._attachment = None
