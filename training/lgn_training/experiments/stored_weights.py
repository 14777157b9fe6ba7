"""Experiment `stored-weights`: what ONNX files with weights in fewer bits cost in accuracy, and save in size."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from torch import Tensor

from lgn_hf.export import AccuracyError, open_classifier, write_onnx, write_stored
from lgn_hf.export.weight_storage import KINDS, accuracy
from lgn_hf.runs.trained_model import TrainedModel
from lgn_training.data import fingerprint, load_test_images, local_copy
from lgn_training.experiments.given_models import open_models, require_models
from lgn_training.experiments.registry import experiment
from lgn_training.experiments.run_journal import RunJournal
from lgn_training.texts import Row

QUICK = 100  # test images with --quick


@experiment(
    "stored-weights",
    "What do weights in fewer bits cost? Accuracy on all test images, and kilobytes of the ONNX file",
    options=("source", "data"),
)
def stored_weights(args: argparse.Namespace) -> Row:
    require_models(args)
    journal = RunJournal(args)
    rows, digests = [], {}
    for given, (name, source) in zip(args.source, open_models(args).items(), strict=True):
        found = journal.once({"model": name}, partial(_measured, args, given, source))
        digests[name] = found["fingerprint"]
        facts = {"model": name, "data": str(source.dataset), "images": found["images"]}
        rows += [{**facts, **row} for row in found["rows"]]
    return {"rows": rows, "data": {"source": [*digests], "fingerprint": digests}, "figures": []}


def _measured(args: argparse.Namespace, given: str, source: TrainedModel) -> Row:
    if "dataset" not in source.recipe:
        raise ValueError(f"{given} does not say what it was trained on (all_results.json)")
    classifier = open_classifier(given)
    channels, side, _ = classifier.image_shape
    test = load_test_images(
        local_copy(source.recipe["dataset"], args.data),
        seed=args.seed,
        image_size=side,
        num_channels=channels,
        max_test_samples=QUICK if args.quick else None,
    )
    assert test.labels is not None
    with tempfile.TemporaryDirectory() as scratch:
        graph = write_onnx(classifier, Path(scratch, "model.onnx"))
        rows = stored_rows(graph, test.images, test.labels)
    return {"images": len(test), "rows": rows, "fingerprint": fingerprint(test)}


def stored_rows(graph: Path, images: Tensor, labels: Tensor) -> list[Row]:
    """A row for float32 and for each kind of `KINDS`: its accuracy, its size, and whether `write_stored` writes it."""
    before = accuracy(graph, images, labels)
    rows = [_row("float32", before, graph)]
    for kind in KINDS:
        path = graph.with_stem(kind)
        try:
            rows.append(_row(kind, write_stored(graph, path, kind, images, labels, before)["accuracy"], path))
        except AccuracyError as error:
            rows.append(_row(kind, error.accuracy, None))
    return rows


def _row(weights: str, accuracy: float, path: Path | None) -> Row:
    kilobytes = path and path.stat().st_size / 1e3
    return {"weights": weights, "accuracy": accuracy, "kB": kilobytes, "is written": path is not None}
