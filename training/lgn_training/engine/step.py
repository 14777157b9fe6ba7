"""One step of the optimiser: gradients of all micro-batches, clipping, Adam, projection."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from lgn_training.arguments import RunArguments
from lgn_training.data.batches import MicroBatch
from lgn_training.engine.optimization import learning_rate


@dataclass
class StepResult:
    """What a step found, still on the device.

    outputs: what the network returned for the last micro-batch.
    loss: of all micro-batches, with the regularization, ().
    norm: of the gradient before clipping, (); 0 if it was not taken.

    With the networks of S seeds at once, every tensor has S as its first dimension.
    """

    outputs: Any
    loss: Tensor
    norm: Tensor


class TrainingStep:
    """Steps of one network.

    Args:
        model: the prepared network, perhaps compiled or wrapped for several processes; `network` is the network inside.
        optimizer: the prepared optimiser.
    """

    def __init__(
        self, accelerator: Accelerator, model: nn.Module, optimizer: Any, args: RunArguments, total_steps: int
    ):
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer
        self.network: Any = accelerator.unwrap_model(model, keep_torch_compile=False)
        self.args, self.total_steps = args, total_steps

    def __call__(self, micro_batches: Sequence[MicroBatch], number: int) -> StepResult:
        """Make step `number`, from 0."""
        args = self.args
        if not self.network.training:
            self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(number, self.total_steps, args)
        total, outputs = torch.zeros((), device=self.accelerator.device), None
        for i, batch in enumerate(micro_batches):
            last = i == len(micro_batches) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                pixel_values = batch.pixel_values
                if args.channels_last and pixel_values.dim() == 4:
                    pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
                outputs = self.model(pixel_values, labels=batch.labels)
                loss = batch.weight * task_loss(outputs, batch, args.label_smoothing_factor)
                loss = loss + outputs.regularization_loss / len(micro_batches)
                self.accelerator.backward(loss.sum())  # one loss, or one per seed
                total = total + loss.detach()
        norm = self.clip() if args.max_grad_norm else None
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.network.project_()
        if norm is None or args.fp16:  # float16 scaling meets infinite gradients now and then and skips their step
            norm = torch.zeros_like(total)
        return StepResult(outputs, total, norm)

    def clip(self) -> Tensor:
        """Scale the gradient to at most `max_grad_norm`, and return the norm that it had."""
        norm: Any = self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
        return norm


def task_loss(outputs: Any, batch: MicroBatch, smoothing: float) -> Tensor:
    """The mean loss over the images of a micro-batch: the network's own, smoothed or weighted where that is asked for."""
    labels, weights = batch.labels, batch.image_weights
    if labels is None or (weights is None and not smoothing):
        return outputs.task_loss
    logits = outputs.logits.flatten(0, -2)
    losses = F.cross_entropy(logits, labels.flatten(), label_smoothing=smoothing, reduction="none").view(labels.shape)
    return (losses if weights is None else weights * losses).mean(-1)
