"""ONNX files with weights in fewer bits beside that of float32, and a record of how well each classifies."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..runs.dataset_name import data_name
from .classifier import Classifier
from .labelled_images import read_test_images
from .onnx_graph import MODEL_PATH
from .weight_storage import accuracy, stored_path, write_stored

ACCURACY_PATH = "onnx/accuracy.json"


def write_smaller(
    classifier: Classifier, folder: str | os.PathLike, kinds: Sequence[str], dataset: str
) -> dict[str, Any]:
    """Write `onnx/model_fp16.onnx` or `onnx/model_int8.onnx` beside `onnx/model.onnx`, and `onnx/accuracy.json`.

    Args:
        classifier: whose `onnx/model.onnx` is in the folder.
        folder: of the export.
        kinds: some of `"float16"` and `"int8"`.
        dataset: what to measure the accuracy on, see `read_test_images`.

    Returns:
        What `onnx/accuracy.json` holds: the name of the `data`, the number of `images`, and of each of the `files` its
        path, the kind of its `weights`, its `bytes` and its `accuracy`.

    Raises:
        AccuracyError: a file would classify worse by more than 0.1 points. It is not written.
        ValueError: see `read_test_images`.
    """
    folder = Path(folder)
    images, labels = read_test_images(dataset, classifier)
    source = folder / MODEL_PATH
    before = accuracy(source, images, labels)
    files = [_file(MODEL_PATH, "float32", source.stat().st_size, before)]
    for kind in dict.fromkeys(kinds):
        found = write_stored(source, folder / stored_path(kind), kind, images, labels, before)
        files.append(_file(stored_path(kind), kind, found["bytes"], found["accuracy"]))
    record = {"data": str(data_name(dataset)), "images": len(images), "files": files}
    write_whole(folder / ACCURACY_PATH, json.dumps(record, indent=2) + "\n")
    return record


def _file(path: str, weights: str, size: float, accuracy: float) -> dict[str, Any]:
    return {"path": path, "weights": weights, "bytes": size, "accuracy": accuracy}
