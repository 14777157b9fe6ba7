"""What the labels of a classifier mean: a class, several classes at once, or numbers to regress."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TAKES = {
    "regression": "one number for each output, {logits}",
    "single_label_classification": "whole numbers from 0 to {last}, ({batch},)",
    "multi_label_classification": "0 or 1 for each class, {logits}",
}


class LossSettings(NamedTuple):
    """The fields of a configuration that transformers' classification loss reads."""

    num_labels: int
    problem_type: str


def infer_problem_type(labels: Tensor, num_labels: int) -> str:
    """What transformers' own classifiers infer where `config.problem_type` is None.

    Whole numbers with one column per class are also several labels at once.
    """
    if num_labels == 1:
        return "regression"
    is_index = not labels.is_floating_point() and labels.shape[1:] != (num_labels,)
    return "single_label_classification" if is_index else "multi_label_classification"


def prepare_labels(labels: Tensor, logits: Tensor, problem_type: str) -> Tensor:
    """Labels in the shape and dtype that the loss takes.

    Args:
        labels: (B,) or (B, 1) class indices; (B, num_labels) of several labels; as many numbers as logits.
        logits: (B, num_labels).

    Raises:
        ValueError: labels of another shape, or numbers where classes are wanted.
    """
    if problem_type == "single_label_classification":
        fits = not labels.is_floating_point() and labels.numel() == len(logits)
        shape, dtype = (len(logits),), torch.long
    else:
        fits = labels.numel() == logits.numel() and labels.shape[:1] == logits.shape[:1]
        shape, dtype = logits.shape, logits.dtype
    if not fits:
        takes = TAKES[problem_type].format(batch=len(logits), last=logits.shape[-1] - 1, logits=tuple(logits.shape))
        raise ValueError(
            f"labels are {labels.dtype} {tuple(labels.shape)}: problem_type={problem_type!r} takes {takes} "
            f"(problem_type of the configuration: one of {', '.join(TAKES)})"
        )
    return labels.reshape(shape).to(logits.device, dtype)
