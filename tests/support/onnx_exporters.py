"""ONNX graphs by both exporters of torch, and what onnxruntime answers with them."""

import io
import warnings

import pytest
import torch
from torch.export import Dim

EXPORTERS = {
    "torch.export": {
        "dynamo": True,
        "input_names": ["pixel_values"],
        "dynamic_shapes": ({0: Dim("batch")},),
        "verbose": False,
    },
    "torch.jit": {
        "dynamo": False,
        "input_names": ["pixel_values"],
        "output_names": ["answer"],
        "dynamic_axes": {"pixel_values": {0: "batch"}},
    },
}


def export(model, images, exporter) -> bytes:
    pytest.importorskip("onnxscript" if exporter == "torch.export" else "onnx")
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images,), file, **EXPORTERS[exporter])
    return file.getvalue()


def run_onnx(graph, batches):
    """The outputs of a graph for each batch."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(graph)
    return [session.run(None, {"pixel_values": batch.numpy()}) for batch in batches]


def check_exporter(network, batches, exporter):
    """Check that the first output of the graph of `exporter` is that of the network, for each batch."""
    with torch.no_grad():
        expected = [network(batch) for batch in batches]
    graph = export(network, batches[0], exporter)
    for found, answer in zip(run_onnx(graph, batches), expected, strict=True):
        answer = answer if isinstance(answer, torch.Tensor) else answer[0]
        torch.testing.assert_close(torch.from_numpy(found[0]), answer, rtol=1e-4, atol=1e-4)
