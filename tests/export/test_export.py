"""Exported classifiers: they answer as the network behind its image processor does, and run without this package."""

import json
import re
import subprocess
import sys

import onnx
import pytest
import torch

from lgn_hf import LGNConfig, LGNForImageClassification, LGNForImageReconstruction, LGNImageProcessor
from lgn_hf.convnet.configuration_lgn_convnet import LGNConvNetConfig
from lgn_hf.convnet.modeling_lgn_convnet import LGNConvNetForImageClassification
from lgn_hf.export import (
    ARCHIVE_PATH,
    MODEL_PATH,
    OPSET,
    TOLERANCE,
    Classifier,
    GraphError,
    PlainNetwork,
    check_graph,
    export,
    onnx_graph,
    onnx_session,
    open_classifier,
    write_onnx,
)
from lgn_hf.export.onnx_graph import run_onnx
from tests.conftest import ROOT

SIDE = 9
LGN = {"image_size": SIDE, "filter_size": 4, "num_groups": 2, "group_order": 4, "num_layers": 2, "num_labels": 3}
CONVNET = {"image_size": SIDE, "num_orbits": [2, 3], "depths": [1, 1], "num_labels": 3}
NETWORKS = {  # constructor, fields and whitening
    "learned": (LGNForImageClassification, LGNConfig(**LGN), "zca"),
    "learned-colour": (LGNForImageClassification, LGNConfig(**LGN, num_channels=3), "patch"),
    "cyclic-ista-tied": (
        LGNForImageClassification,
        LGNConfig(**LGN, action="cyclic", algorithm="ista", tied=True),
        "none",
    ),
    "rotation": (LGNForImageClassification, LGNConfig(**LGN, action="rotation", rotation_angle=90.0), "patch"),
    "dense": (
        LGNForImageClassification,
        LGNConfig(**LGN | {"filter_size": SIDE, "padding": 0, "pool_size": 1}),
        "none",
    ),
    "convnet": (LGNConvNetForImageClassification, LGNConvNetConfig(**CONVNET), "none"),
    "convnet-learned": (
        LGNConvNetForImageClassification,
        LGNConvNetConfig(**CONVNET, group="dihedral", action="learned", orbit_pooling="none"),
        "zca",
    ),
    "convnet-free-colour": (
        LGNConvNetForImageClassification,
        LGNConvNetConfig(**CONVNET, group="trivial", share_norms=False, num_channels=3),
        "patch",
    ),
}


def make_classifier(name, folder) -> Classifier:
    """A network that has seen some images, so that its normalisations are not the identity."""
    kind, config, whitening = NETWORKS[name]
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (64, config.num_channels, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    processor = LGNImageProcessor(SIDE, config.num_channels, whitening=whitening).fit(images)
    network = kind(config).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for _ in range(3):
            network(processor.pixel_values(images))
    return Classifier(name, network.eval(), processor, folder)


# Both kinds of file


@pytest.mark.parametrize("name", NETWORKS)
def test_the_plain_network_answers_as_the_classifier(name, tmp_path):
    classifier = make_classifier(name, tmp_path)
    before = {key: value.clone() for key, value in classifier.network.state_dict().items()}
    plain = PlainNetwork(classifier, with_codes=True)
    assert check_graph(classifier, plain, with_codes=True) < TOLERANCE
    assert not [type(module).__name__ for module in plain.modules() if type(module).__name__.startswith("OrbitConv")]
    after = classifier.network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learned", "learned-colour", "convnet-learned"])
def test_an_onnx_file_answers_as_the_classifier_for_any_batch(name, tmp_path):
    classifier = make_classifier(name, tmp_path)
    path = write_onnx(classifier, tmp_path / "model.onnx", with_codes=True)
    session = onnx_session(path)
    assert check_graph(classifier, lambda images: run_onnx(session, images), with_codes=True) < TOLERANCE
    assert session.get_inputs()[0].shape[1:] == list(classifier.image_shape)
    assert [output.name for output in session.get_outputs()] == ["logits", "code_1", "code_2"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == classifier.labels
    graph = onnx.load(path)
    assert [entry.version for entry in graph.opset_import if entry.domain == ""] == [OPSET]
    assert {entry.domain for entry in graph.opset_import} == {""}
    assert not re.search(rb"/(?:root|home|work|tmp)/|\.py\b", path.read_bytes()), "it names files of this machine"


@pytest.fixture(scope="module")
def published():
    """A published model of the zoo."""
    return open_classifier(ROOT / "model_cards" / "lgn-mnist")


@pytest.fixture(scope="module")
def exported(published, tmp_path_factory):
    """The folder of both its exports."""
    folder = tmp_path_factory.mktemp("exported") / "new"
    for format in ("onnx", "torch"):
        export(published, folder, format)
    return folder


@pytest.mark.slow
def test_a_folder_has_what_optimum_and_transformers_js_look_for(exported):
    files = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert files == {MODEL_PATH, ARCHIVE_PATH, "config.json", "preprocessor_config.json"}
    config, processor = (
        json.loads((exported / name).read_text()) for name in ("config.json", "preprocessor_config.json")
    )
    assert config["id2label"]["7"] == "7"
    assert "auto_map" not in config
    assert (processor["do_normalize"], processor["do_rescale"], processor["size"]) == (
        False,
        True,
        {"height": 28, "width": 28},
    )


ALONE = """
import sys, torch
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("lgn_hf", "transformers"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
model = torch.export.load(sys.argv[1]).module()
torch.manual_seed(0)
print(model(torch.rand(3, 1, 28, 28)).tolist())
"""


@pytest.mark.slow
def test_the_archive_of_torch_runs_where_neither_the_package_nor_transformers_is(exported, published, tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", ALONE, str(exported / ARCHIVE_PATH)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    torch.manual_seed(0)
    images = torch.rand(3, 1, 28, 28)
    expected = run_onnx(onnx_session(exported / MODEL_PATH), images)[0]
    torch.testing.assert_close(
        torch.tensor(json.loads(said)), expected, rtol=0, atol=TOLERANCE * expected.abs().max().item()
    )


# Refusals


def test_a_graph_that_answers_otherwise_is_not_written(published, tmp_path, monkeypatch):
    class Program:
        model_proto = onnx.helper.make_model(
            onnx.helper.make_graph(
                [onnx.helper.make_node("Flatten", ["pixel_values"], ["logits"])],
                "wrong",
                [onnx.helper.make_tensor_value_info("pixel_values", 1, ["batch", 1, 28, 28])],
                [onnx.helper.make_tensor_value_info("logits", 1, ["batch", 784])],
            ),
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=10,
        )

    monkeypatch.setattr(onnx_graph.torch.onnx, "export", lambda *args, **options: Program)
    (tmp_path / "model.onnx").write_bytes(b"an earlier file")
    with pytest.raises(GraphError, match=r"output 0 is \(\d+, 784\), not"):
        write_onnx(published, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"an earlier file"


@pytest.mark.parametrize("change", ["a little", "NaN"])
def test_a_small_difference_and_nan_are_seen(published, change):
    plain = PlainNetwork(published)

    def graph(images):
        logits = plain(images)
        return [logits + 2e-4 * logits.abs().max() if change == "a little" else logits * float("nan")]

    with pytest.raises(GraphError, match="output 0 of the graph differs by"):
        check_graph(published, graph)


def test_only_classifiers_are_exported(tmp_path):
    with pytest.raises(ValueError, match="is LGNForImageReconstruction: must be a classifier"):
        open_classifier(ROOT / "model_cards" / "lgn-mnist-reconstruction")
    network = LGNForImageReconstruction(LGNConfig(**LGN))
    with pytest.raises(ValueError, match="must be LGNForImageClassification or LGNConvNet"):
        PlainNetwork(Classifier("other", network, LGNImageProcessor(SIDE, 1), tmp_path))


def test_a_folder_that_holds_something_else_is_refused_before_any_work(tmp_path, published):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds something else .*thesis.txt"):
        export(published, tmp_path)
    with pytest.raises(ValueError, match="format='tflite': must be one of onnx, torch"):
        export(published, tmp_path / "new", "tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
