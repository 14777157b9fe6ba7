"""Weights in fewer bits: smaller files that classify as well, or no file."""

import numpy as np
import onnx
import pytest
import torch

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.commands import export as command
from lgn_hf.commands import options
from lgn_hf.export import (
    FORMATS,
    AccuracyError,
    Classifier,
    read_test_images,
    stored_path,
    weight_storage,
    write_onnx,
    write_stored,
)
from lgn_hf.export.onnx_graph import onnx_session, run_onnx

SIDE = 12


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    torch.manual_seed(0)
    config = LGNConfig(image_size=SIDE, filter_size=5, num_labels=5, num_layers=2)
    processor = LGNImageProcessor(SIDE, 1, whitening="zca")
    processor.fit(torch.randint(0, 256, (400, 1, SIDE, SIDE), dtype=torch.uint8))
    return Classifier("small", LGNForImageClassification(config).eval(), processor, tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def source(classifier, tmp_path_factory):
    return write_onnx(classifier, tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.fixture(scope="module")
def labelled(source):
    """Images, and the classes that the float32 file gives them."""
    images = torch.randint(0, 256, (600, 1, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return images, run_onnx(onnx_session(source), images.float() / 255)[0].argmax(1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "difference"), [("float16", 2e-3), ("int8", 3e-2)])
def test_the_file_is_smaller_and_nearly_the_same(source, labelled, tmp_path, monkeypatch, kind, difference):
    monkeypatch.setattr(weight_storage, "LARGEST_LOSS", 0.05)  # an untrained network is not sure of its answers
    images, labels = labelled
    path = tmp_path / "stored.onnx"
    found = write_stored(source, path, kind, images, labels)
    assert found["accuracy_float32"] == 1
    assert found["accuracy"] == weight_storage.accuracy(path, images, labels)
    assert found["bytes"] == path.stat().st_size < found["bytes_float32"] - 4000
    session = onnx_session(path)
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["weights"], float(facts["test_accuracy"]), facts["test_images"]) == (kind, found["accuracy"], "600")
    assert {"labels", "images", "model"} <= facts.keys()
    ours, theirs = (run_onnx(onnx_session(file), images[:50].float() / 255)[0] for file in (source, path))
    assert (ours - theirs).abs().max() < difference * ours.abs().max()
    names = {tensor.name for tensor in onnx.load(path).graph.initializer}
    assert "prepare.whitening.basis" in names, "the preparation has lost bits"


@pytest.mark.slow
def test_a_file_that_costs_accuracy_is_not_written(source, labelled, tmp_path, monkeypatch):
    images, labels = labelled
    monkeypatch.setitem(weight_storage.KINDS, "int8", ("int8", lambda tensor, values: _zeros(tensor, values)))
    with pytest.raises(
        AccuracyError, match=r"int8 weights lower the test accuracy from 100.00% to .* more than 0.1 points"
    ):
        write_stored(source, tmp_path / "stored.onnx", "int8", images, labels)
    assert not list(tmp_path.iterdir())


def _zeros(tensor, values):
    return weight_storage._float16(tensor, np.zeros_like(values))


def test_files_have_the_names_that_transformers_js_looks_for():
    assert [stored_path(kind) for kind in ("float16", "int8")] == ["onnx/model_fp16.onnx", "onnx/model_int8.onnx"]
    assert (tuple(weight_storage.KINDS), tuple(FORMATS)) == (options.STORED, command.FORMATS)
    with pytest.raises(ValueError, match="quantize='int3': must be one of float16, int8"):
        write_stored("x", "y", "int3", torch.zeros(0), torch.zeros(0))


@pytest.mark.slow
def test_rotated_test_images_are_those_of_the_training(tmp_path):
    from lgn_training.data import load_test_images

    classifier = Classifier("small", _named(10), LGNImageProcessor(8, 1), tmp_path)
    images, labels = read_test_images("rot-mnist:digits", classifier)
    expected = load_test_images("rot-mnist:digits", seed=0, image_size=8, num_channels=1)
    assert torch.equal(images, expected.images)
    assert torch.equal(labels, expected.labels)
    with pytest.raises(ValueError, match=r"'digits' has the classes .* and small"):
        read_test_images("digits", Classifier("small", _named(3), LGNImageProcessor(8, 1), tmp_path))


def _named(count: int) -> LGNForImageClassification:
    config = LGNConfig(image_size=8, filter_size=3, num_layers=1, id2label={i: str(i) for i in range(count)})
    return LGNForImageClassification(config)
