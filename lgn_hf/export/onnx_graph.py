"""A classifier as an ONNX file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import replacing
from .checks import check_graph
from .classifier import Classifier
from .plain_network import PlainNetwork

MODEL_PATH = "onnx/model.onnx"  # where optimum and transformers.js look
OPSET = 18
INPUT, OUTPUT = "pixel_values", "logits"


def write_onnx(classifier: Classifier, path: str | os.PathLike, *, with_codes: bool = False) -> Path:
    """Write a classifier as an ONNX file, whole or not at all.

    The input `pixel_values` are images in [0, 1], float32 (batch, C, H, W), with any batch. The output `logits` is
    (batch, num_labels). The metadata of the file hold `labels`, a JSON list of the names of the classes, and `images`, which says in
    words what the input is. onnxruntime and torch must agree before the file takes its place, see `check_graph`.

    Args:
        classifier: the model.
        path: the file, which is replaced. Its folder is made.
        with_codes: further outputs `code_1`, `code_2`, ...: the code of each layer, or the maps of each stage.

    Returns:
        `path`.

    Raises:
        GraphError: the file does not answer as torch does.
        ImportError: onnx, onnxscript or onnxruntime is missing: `pip install 'lgn-hf[export]'`.
    """
    import onnx
    import onnxscript  # noqa: F401  # the exporter needs it

    path = Path(path)
    plain = PlainNetwork(classifier, with_codes=with_codes)
    example = torch.zeros(2, *classifier.image_shape)
    outputs = [OUTPUT]
    if with_codes:
        with torch.no_grad():
            outputs += [f"code_{number}" for number in range(1, len(plain(example)))]
    with _quiet_exporter():
        program: Any = torch.onnx.export(
            plain,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    graph = program.model_proto
    graph.doc_string = graph.graph.doc_string = ""
    for node in graph.graph.node:  # the exporter writes stack traces, with the paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del value.metadata_props[:]
    del graph.graph.metadata_props[:], graph.metadata_props[:]
    onnx.helper.set_model_props(graph, _metadata(classifier))
    graph.graph.name = "classifier"
    onnx.checker.check_model(graph, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))
        session = onnx_session(temporary)
        check_graph(classifier, lambda images: run_onnx(session, images), with_codes=with_codes)
    return path


def onnx_session(path: str | os.PathLike) -> Any:
    """A session of onnxruntime on the CPU, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, images: Tensor) -> Sequence[Tensor]:
    """All outputs of a session for images in [0, 1]."""
    return [torch.from_numpy(output) for output in session.run(None, {INPUT: images.numpy()})]


def _metadata(classifier: Classifier) -> dict[str, str]:
    from .. import __version__

    channels, height, width = classifier.image_shape
    colour = "grey" if channels == 1 else "RGB"
    return {
        "model": classifier.name,
        "labels": json.dumps(classifier.labels),
        "images": f"{INPUT}: {colour} images of {height} x {width} pixels, values in [0, 1], float32 "
        f"(batch, {channels}, {height}, {width}); standardising and whitening are inside",
        "lgn_hf": __version__,
    }


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's warnings of its own internals, and of torchvision, which is not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
