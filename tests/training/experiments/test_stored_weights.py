"""Experiment `stored-weights`."""

from pathlib import Path

import pytest
import torch
from lgn_training.experiments import stored_weights

from lgn_hf.export import AccuracyError


def test_a_kind_that_costs_accuracy_has_its_accuracy_and_no_size(tmp_path, monkeypatch):
    def write(graph, path, kind, images, labels, before):
        if kind == "int8":
            raise AccuracyError(kind, 0.5, before)
        Path(path).write_bytes(b"x" * 2000)
        return {"accuracy": 0.9}

    monkeypatch.setattr(stored_weights, "write_stored", write)
    monkeypatch.setattr(stored_weights, "accuracy", lambda *arguments: 0.9)
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"x" * 4000)
    rows = stored_weights.stored_rows(graph, torch.empty(0), torch.empty(0))
    assert [tuple(row.values()) for row in rows] == [
        ("float32", 0.9, 4.0, True),
        ("float16", 0.9, 2.0, True),
        ("int8", 0.5, None, False),
    ]
    with pytest.raises(AccuracyError, match=r"int8 weights lower the test accuracy from 90.00% to 50.00%"):
        write(graph, tmp_path / "x", "int8", None, None, 0.9)
