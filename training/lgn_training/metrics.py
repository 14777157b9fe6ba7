"""Metrics as local `evaluate.Metric`s: loading one by name would need the network."""

from __future__ import annotations

import datasets
import evaluate
import numpy as np


class LocalMetric(evaluate.Metric):
    """A metric over pairs of one number each; `dtype` is their type, the docstring its description."""

    dtype: str

    def _info(self):
        pair = {name: datasets.Value(self.dtype) for name in ("predictions", "references")}
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description="one prediction and one reference for each image",
            features=datasets.Features(pair),
        )


class Accuracy(LocalMetric):
    """Share of images whose most probable class (the prediction) is their label (the reference), in [0, 1]."""

    dtype = "int64"

    def _compute(self, *, predictions, references):  # pyright: ignore[reportIncompatibleMethodOverride]
        return {"accuracy": float(np.mean(np.asarray(predictions) == np.asarray(references)))}


class ReconstructionError(LocalMetric):
    """From each image's squared error (the prediction) and squared norm (the reference), both per value.

    `mse`, the mean error, and `relative_error`, the share of the images' energy that is missed: 0 is perfect, 1 is what
    an empty reconstruction has.
    """

    dtype = "float64"

    def _compute(self, *, predictions, references):  # pyright: ignore[reportIncompatibleMethodOverride]
        return {
            "mse": float(np.mean(predictions)),
            "relative_error": float(np.sum(predictions) / np.sum(references)),
        }
