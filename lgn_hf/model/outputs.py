"""What the two heads return."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers.utils.generic import ModelOutput


@dataclass
class LGNImageClassifierOutput(ModelOutput):
    """What `LGNForImageClassification` returns.

    Attributes:
        loss: task loss, plus the regularization loss in training mode; only with labels.
        logits: (B, num_labels).
        task_loss: cross-entropy.
        regularization_loss: mu times the invertibility losses of all actions (0 if nothing is regularized).
        hidden_states: the codes z_1..z_L, each (B, K*p, H', W'), if asked for.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    task_loss: Tensor | None = None
    regularization_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class LGNImageReconstructionOutput(ModelOutput):
    """What `LGNForImageReconstruction` returns.

    Attributes:
        loss: task loss, plus the regularization loss in training mode.
        reconstruction: (B, C, H, W), in the space of `pixel_values` (standardised and whitened).
        task_loss: mean squared error.
        regularization_loss: mu times the invertibility losses of all actions (0 if nothing is regularized).
        hidden_states: the codes z_1..z_L, each (B, K*p, H', W'), if asked for.
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    task_loss: Tensor | None = None
    regularization_loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
