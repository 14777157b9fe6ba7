"""Metrics as local `evaluate.Metric`s: loading one by name would need the network."""

from __future__ import annotations

import datasets
import evaluate
import numpy as np


class Accuracy(evaluate.Metric):
    """Share of images whose most probable class is their label, in [0, 1]."""

    def _info(self):
        return evaluate.MetricInfo(
            description="Classification accuracy",
            citation="",
            inputs_description="predictions and references: class indices",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, *, predictions, references):  # pyright: ignore[reportIncompatibleMethodOverride]
        return {"accuracy": float(np.mean(np.asarray(predictions) == np.asarray(references)))}


class ReconstructionError(evaluate.Metric):
    """From the squared error and the squared norm of each image, divided by its number of values.

    `mse`, its mean over images, and `relative_error`, the share of the images' energy that is missed: 0 is perfect, 1
    is what an empty reconstruction has.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Reconstruction error",
            citation="",
            inputs_description="predictions: squared error per value; references: squared norm per value",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, *, predictions, references):  # pyright: ignore[reportIncompatibleMethodOverride]
        return {
            "mse": float(np.mean(predictions)),
            "relative_error": float(np.sum(predictions) / np.sum(references)),
        }
