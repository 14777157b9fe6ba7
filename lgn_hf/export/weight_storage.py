"""Weights of an ONNX graph in fewer bits. They become float32 again as the graph is loaded, and it computes as before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..files import replacing
from .onnx_graph import MODEL_PATH, onnx_session, run_onnx

LARGEST_LOSS = 0.001  # of test accuracy: 0.1 points
LEAST = 64  # numbers of a tensor that is worth it
BATCH = 256


class AccuracyError(ValueError):
    """Weights in fewer bits cost too much accuracy: `accuracy`, in place of `accuracy_float32`."""

    def __init__(self, kind: str, accuracy: float, accuracy_float32: float):
        super().__init__(
            f"{kind} weights lower the test accuracy from {accuracy_float32:.2%} to {accuracy:.2%}, by more than "
            f"{100 * LARGEST_LOSS:.1f} points"
        )
        self.accuracy, self.accuracy_float32 = accuracy, accuracy_float32


def write_stored(
    source: str | os.PathLike,
    path: str | os.PathLike,
    kind: str,
    images: Tensor,
    labels: Tensor,
    before: float | None = None,
) -> dict[str, float]:
    """Write an ONNX file whose weights are stored in fewer bits, if its test accuracy stays within 0.1 points.

    The tensors of the image preparation keep their bits. The metadata of the file hold both accuracies.

    Args:
        source: an ONNX file of `write_onnx`.
        path: the file, which is replaced.
        kind: `"float16"`, or `"int8"` with a scale for each filter.
        images: of the test set, uint8 (N, C, H, W).
        labels: their classes, (N,).
        before: the accuracy of the source, if it is known.

    Returns:
        `accuracy` of the file, `accuracy_float32` of the source, `bytes` and `bytes_float32`.

    Raises:
        AccuracyError: the accuracy is lower by more than 0.1 points. Nothing is written.
        ValueError: the kind is unknown.
    """
    import onnx

    if kind not in KINDS:
        raise ValueError(f"quantize={kind!r}: must be one of {', '.join(KINDS)}")
    source, path = Path(source), Path(path)
    graph = onnx.load(source)
    before = accuracy(source, images, labels) if before is None else before
    _store(graph.graph, KINDS[kind][1])
    onnx.checker.check_model(graph, full_check=True)
    with replacing(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))
        after = accuracy(temporary, images, labels)
        if after < before - LARGEST_LOSS:
            raise AccuracyError(kind, after, before)
        facts = {"weights": kind, "test_accuracy": after, "test_accuracy_float32": before, "test_images": len(images)}
        metadata = {entry.key: entry.value for entry in graph.metadata_props}
        del graph.metadata_props[:]
        onnx.helper.set_model_props(graph, metadata | {name: str(value) for name, value in facts.items()})
        temporary.write_bytes(graph.SerializeToString(deterministic=True))
    return {
        "accuracy": after,
        "accuracy_float32": before,
        "bytes": path.stat().st_size,
        "bytes_float32": source.stat().st_size,
    }


def stored_path(kind: str) -> str:
    """Where transformers.js looks for a kind: `onnx/model_fp16.onnx`, `onnx/model_int8.onnx`."""
    return MODEL_PATH.replace(".onnx", f"_{KINDS[kind][0]}.onnx")


def accuracy(path: str | os.PathLike, images: Tensor, labels: Tensor) -> float:
    """The share of uint8 images that an ONNX file classifies correctly."""
    session = onnx_session(path)
    correct = 0
    for batch, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        correct += int((run_onnx(session, batch.float() / 255)[0].argmax(1) == truth).sum())
    return correct / len(images)


def _store(graph: Any, kind: Callable[[Any, np.ndarray], list[Any]]) -> None:
    """Replace each large tensor by smaller ones, and nodes in front that make it again."""
    from onnx import TensorProto, numpy_helper

    prepared = {name for node in graph.node for name in node.input if name.startswith("prepare.")}
    nodes, kept = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < LEAST or values.ndim < 2 or tensor.name in prepared:
            kept.append(tensor)
            continue
        *smaller, node = kind(tensor, values)
        kept += smaller
        nodes.append(node)
    others = list(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes + others)
    graph.initializer.extend(kept)


def _float16(tensor: Any, values: np.ndarray) -> list[Any]:
    from onnx import TensorProto, helper, numpy_helper

    half = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_float16")
    return [half, helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT)]


def _int8(tensor: Any, values: np.ndarray) -> list[Any]:
    from onnx import helper, numpy_helper

    largest = np.abs(values).reshape(len(values), -1).max(1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    whole = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
    parts = [
        numpy_helper.from_array(whole, f"{tensor.name}_int8"),
        numpy_helper.from_array(scale, f"{tensor.name}_scale"),
    ]
    return [*parts, helper.make_node("DequantizeLinear", [part.name for part in parts], [tensor.name], axis=0)]


KINDS = {"float16": ("fp16", _float16), "int8": ("int8", _int8)}  # the ending of the file, and how tensors are stored
