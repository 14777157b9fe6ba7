"""A model and a split to its metrics, correct for any number of processes and uneven last batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from transformers import PreTrainedModel

from lgn_training.data import ImageSet
from lgn_training.metrics import Accuracy, ReconstructionError


@torch.no_grad()
def evaluate_split(
    accelerator: Accelerator,
    model: PreTrainedModel,
    images: ImageSet,
    to_pixels: Callable[[Tensor], Tensor],
    *,
    task: str,
    batch_size: int,
    channels_last: bool = False,
) -> dict[str, float]:
    """Metrics over all images, the same on every process.

    Each process takes every `num_processes`-th image; what it finds is gathered before a metric is computed.

    Returns:
        classification: `accuracy` in [0, 1] and `loss`, the mean cross-entropy; reconstruction: `mse`, `relative_error`.
    """
    model.eval()
    own = torch.arange(len(images))[accelerator.process_index :: accelerator.num_processes]
    found, losses = [], []
    for indices in own.split(batch_size) if len(own) else ():
        pixel_values = to_pixels(images.images[indices])
        if channels_last:
            pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        outputs = model(pixel_values)
        if task == "classification":
            logits = outputs.logits.float()
            labels = images.labels[indices]  # pyright: ignore[reportOptionalSubscript]
            losses += F.cross_entropy(logits, labels.to(logits.device), reduction="none").tolist()
            found += zip(logits.argmax(-1).tolist(), labels.tolist(), strict=True)
        else:
            reconstruction = outputs.reconstruction.float()
            errors = (reconstruction - pixel_values).square().flatten(1).mean(1)
            found += zip(errors.tolist(), pixel_values.square().flatten(1).mean(1).tolist(), strict=True)
    found = gather_object(found)
    metric = (Accuracy if task == "classification" else ReconstructionError)(keep_in_memory=True)
    metric.add_batch(predictions=[f[0] for f in found], references=[f[1] for f in found])
    results = metric.compute() or {}
    if task == "classification":
        losses = gather_object(losses)
        results["loss"] = sum(losses) / len(losses)
    return results
