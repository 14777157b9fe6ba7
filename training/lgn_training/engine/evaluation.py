"""A model and a split to metrics, correct for any number of processes and uneven last batches.

To add a task, append its `Evaluator` to EVALUATORS, under the name that it has in `lgn_hf.runs.task.TASKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import evaluate
import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from transformers import PreTrainedModel

from lgn_training.data.image_sets import ImageSet

Metrics = dict[str, float]
Details = dict[str, list[Any]]

LARGEST_MATRIX = 100  # rows of a confusion matrix that results hold


class PairMetric(evaluate.Metric):
    """A metric over (prediction, reference) pairs of one number each; `dtype` is their type.

    It is defined here because loading a metric by its name would need the network.
    """

    dtype: str

    def _info(self):
        pair = {name: datasets.Value(self.dtype) for name in ("predictions", "references")}
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description="one prediction and one reference per image",
            features=datasets.Features(pair),
        )

    @classmethod
    def of(cls, predictions: Sequence[float], references: Sequence[float]) -> Metrics:
        metric = cls(keep_in_memory=True)
        metric.add_batch(predictions=list(predictions), references=list(references))
        return metric.compute() or {}


class Accuracy(PairMetric):
    """Share of images whose most probable class (the prediction) is their label (the reference), in [0, 1]."""

    dtype = "int64"

    def _compute(self, *, predictions, references):  # pyrefly: ignore[bad-override]
        return {"accuracy": float(np.mean(np.asarray(predictions) == np.asarray(references)))}


class ReconstructionError(PairMetric):
    """From each image's squared error (the prediction) and squared norm (the reference), both averaged over its values.

    `mse` is the mean error. `relative_error` is the share of the images' energy that is missed: 0 for a perfect
    reconstruction, 1 for an empty one.
    """

    dtype = "float64"

    def _compute(self, *, predictions, references):  # pyrefly: ignore[bad-override]
        return {
            "mse": float(np.mean(predictions)),
            "relative_error": float(np.sum(predictions) / np.sum(references)),
        }


@dataclass(frozen=True)
class Evaluator:
    """How the models of one task are evaluated.

    measure: (outputs, pixel_values, labels) of a batch to tensors of one number per image, (B,) each.
    summarize: those numbers, of all images of all processes, to metrics.
    details: the number of classes and those numbers to what is told of the test images beyond metrics; None: nothing.
    """

    measure: Callable[[Any, Tensor, Tensor | None], tuple[Tensor, ...]]
    summarize: Callable[..., Metrics]
    details: Callable[..., Details] | None = None


def measure_classification(outputs: Any, pixel_values: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    """The predicted class, the label and the cross-entropy of each image."""
    assert labels is not None  # a data set without labels is refused before
    logits = outputs.logits.float()
    losses = F.cross_entropy(logits, labels.to(logits.device), reduction="none")
    return logits.argmax(-1), labels, losses


def summarize_classification(
    predictions: Sequence[int], labels: Sequence[int], losses: Sequence[float]
) -> dict[str, float]:
    """`accuracy` in [0, 1], and `loss`, the mean cross-entropy."""
    return {**Accuracy.of(predictions, labels), "loss": sum(losses) / len(losses)}


def classification_details(
    classes: int, predictions: Sequence[int], labels: Sequence[int], losses: Sequence[float]
) -> Details:
    """`confusion_matrix`: how many images of each class (rows) were taken for each class (columns); `class_accuracy`: the
    share of each class's images that were recognised, None for a class without images. More than `LARGEST_MATRIX` classes
    have no matrix.
    """
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (np.asarray(labels), np.asarray(predictions)), 1)
    sizes = matrix.sum(1)
    shares = [float(hits / size) if size else None for hits, size in zip(matrix.diagonal(), sizes, strict=True)]
    return {"class_accuracy": shares, **({"confusion_matrix": matrix.tolist()} if classes <= LARGEST_MATRIX else {})}


def measure_reconstruction(outputs: Any, pixel_values: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    """The mean squared error and the mean square of each image."""
    errors = outputs.reconstruction.float() - pixel_values
    return errors.square().flatten(1).mean(1), pixel_values.square().flatten(1).mean(1)


EVALUATORS = {
    "classification": Evaluator(measure_classification, summarize_classification, classification_details),
    "reconstruction": Evaluator(measure_reconstruction, ReconstructionError.of),
}


def evaluate_split(
    accelerator: Accelerator,
    model: PreTrainedModel,
    images: ImageSet,
    to_pixels: Callable[[Tensor], Tensor],
    *,
    task: str,
    **options: Any,
) -> Metrics:
    """The metrics of a task over all images, the same on every process; `options` are those of `measure_split`."""
    measured = measure_split(accelerator, model, images, to_pixels, task=task, **options)
    return EVALUATORS[task].summarize(*measured)


def evaluate_in_detail(
    accelerator: Accelerator,
    model: PreTrainedModel,
    images: ImageSet,
    to_pixels: Callable[[Tensor], Tensor],
    *,
    task: str,
    **options: Any,
) -> tuple[Metrics, Details]:
    """As `evaluate_split`, and what the task tells beyond metrics."""
    evaluator = EVALUATORS[task]
    measured = measure_split(accelerator, model, images, to_pixels, task=task, **options)
    details = evaluator.details(model.config.num_labels, *measured) if evaluator.details else {}
    return evaluator.summarize(*measured), details


@torch.no_grad()
def measure_split(
    accelerator: Accelerator,
    model: PreTrainedModel,
    images: ImageSet,
    to_pixels: Callable[[Tensor], Tensor],
    *,
    task: str,
    batch_size: int,
    channels_last: bool = False,
) -> list[tuple[float, ...]]:
    """What the task measures of every image, one sequence for each quantity, the same on every process.

    Each process takes every `num_processes`-th image. What all processes measure is gathered.
    """
    evaluator = EVALUATORS[task]
    model.eval()
    own = torch.arange(len(images))[accelerator.process_index :: accelerator.num_processes]
    measured: list[tuple[float, ...]] = []
    for indices in own.split(batch_size) if len(own) else ():
        pixel_values = to_pixels(images.images[indices])
        if channels_last:
            pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        labels = None if images.labels is None else images.labels[indices]
        columns = evaluator.measure(model(pixel_values), pixel_values, labels)
        measured += zip(*(column.tolist() for column in columns), strict=True)
    return list(zip(*gather_object(measured), strict=True))
