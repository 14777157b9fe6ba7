"""Graphs of a model that torch makes: traced, compiled, exported, and ONNX. They answer as the model does."""

import pytest
import torch
from torch.export import Dim

from lgn_hf import LGNForImageClassification
from tests.conftest import ROOT
from tests.support.networks import ANSWER, HEADS, NETWORKS, make_images, make_used_model
from tests.support.onnx_exporters import export, run_onnx

pytestmark = pytest.mark.slow  # exporters and compilers

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
ONE_OF_EACH_KIND = ["learned-colour", "left", "rotation-60", "cyclic-leftover", "baseline", "dense"]
OF_EACH_KIND_AND_HEAD = [
    *((name, "classification") for name in ONE_OF_EACH_KIND),
    *(("learned-colour", head) for head in HEADS if head != "classification"),
]


def make_example(name, head):
    """A model in float32, and batches of several sizes."""
    model = make_used_model(name, head).float().eval()
    return model, [make_images(model.config, batch).float() for batch in (5, 1, 8)]


def answers(model, head, batches):
    with torch.no_grad():
        return [model(batch)[ANSWER[head]] for batch in batches]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("used_before", [True, False])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_two_traces_agree(name, head, used_before, gradient):
    """`torch.jit.trace` checks this: what a model keeps from call to call must not show in its graph."""
    model, batches = make_example(name, head)
    expected = answers(model, head, batches) if used_before else None
    model.config.return_dict = False
    with torch.set_grad_enabled(gradient):
        traced = torch.jit.trace(model, batches[0])
    model.config.return_dict = True
    for batch, answer in zip(batches, expected or answers(model, head, batches), strict=True):
        outputs = traced(batch)
        found = next(output for output in outputs if output.shape == answer.shape)
        torch.testing.assert_close(found, answer, **CLOSE)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_traced_model_follows_its_parameters():
    model, batches = make_example("learned", "classification")
    model.config.return_dict = False
    with torch.no_grad():
        model(batches[0])
        traced = torch.jit.trace(model, batches[0])
        model.lgn.basis.mul_(2)
        torch.testing.assert_close(traced(batches[0])[0], model(batches[0])[0], **CLOSE)


@pytest.mark.parametrize(("name", "head"), OF_EACH_KIND_AND_HEAD)
def test_torch_export_with_any_batch(name, head):
    model, batches = make_example(name, head)
    program = torch.export.export(model, (batches[0],), dynamic_shapes={"pixel_values": {0: Dim("batch")}})
    for batch, answer in zip(batches, answers(model, head, batches), strict=True):
        torch.testing.assert_close(program.module()(batch)[ANSWER[head]], answer, **CLOSE)


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_torch_compile_takes_the_whole_graph(name):
    """tests/training/engine/test_torch_compile.py compiles training."""
    model, batches = make_example(name, "classification")
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    labels = torch.arange(5) % 4
    expected = model(batches[0], labels=labels)
    found = compiled(batches[0], labels=labels)
    torch.testing.assert_close(found.logits, expected.logits, **CLOSE)
    torch.testing.assert_close(found.loss, expected.loss, **CLOSE)


# ONNX


def check_onnx(name, head, exporter):
    model, batches = make_example(name, head)
    expected = answers(model, head, batches)
    outputs = run_onnx(export(model, batches[0], exporter), batches)
    for (output,), answer in zip(outputs, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(output), answer, **CLOSE)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_onnx_of_the_older_exporter(name, head):
    check_onnx(name, head, "torch.jit")


@pytest.mark.parametrize(
    ("name", "head"), [("cyclic-leftover", "classification"), ("learned-colour", "reconstruction")]
)
def test_onnx(name, head):
    check_onnx(name, head, "torch.export")


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(ONE_OF_EACH_KIND)))
def test_the_older_onnx_exporter_takes_every_network(name):
    """Singular values and determinants, which ONNX lacks, belong to losses."""
    model, batches = make_example(name, "reconstruction")
    assert export(model, batches[0], "torch.jit")


@pytest.mark.parametrize("name", ["lgn-cifar10", "cyclic-cifar10", "cyclic-rotmnist"])
def test_onnx_of_a_published_model(name):
    model = LGNForImageClassification.from_pretrained(ROOT / "model_cards" / name).eval()
    batches = [make_images(model.config, batch).float() for batch in (1, 4)]
    expected = answers(model, "classification", batches)
    for (output,), answer in zip(run_onnx(export(model, batches[0], "torch.jit"), batches), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(output), answer, rtol=0, atol=1e-4 * answer.abs().max().item())
