"""`--torch_compile`: every kind of network becomes one graph, whose shapes are fixed and which never waits for the device."""

import contextlib
import copy
import io
import json
import logging
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from lgn_training import run as program
from lgn_training.arguments import RunArguments
from lgn_training.engine.accelerator import compilation
from lgn_training.engine.batched_seeds import StackedNetwork

from tests.support.convnets import make_convnet
from tests.support.networks import make_images, make_labels, make_used_model

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning"
)  # dynamo itself does it

# Between them: every kind of action. tests/model/test_export.py compiles what all networks answer.
KINDS = ["learned-logdet", "left-tied", "rotation-60", "cyclic-leftover"]
CONVNETS = ["dihedral-mean", "learned"]
# What waits for the device: a check whether a matrix is singular, and numbers that the host asks for.
WAITS = {torch.linalg.inv, torch.linalg.solve, "item", "tolist", "cpu", "numpy"}


@pytest.fixture(autouse=True)
def no_trace(monkeypatch):
    """torch formats a trace of every compilation for the log that pytest captures."""
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)


@pytest.fixture
def run():
    """The training program. What Accelerate remembers of it, as that it compiles, does not outlive the test."""

    def call(*arguments: str) -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert program.main([*arguments]) == 0

    yield call
    AcceleratorState._reset_state(reset_partial_state=True)
    torch._dynamo.reset()


def compiled(model):
    """The model as one graph, and what the graph calls."""
    calls = []

    def backend(graph, inputs):
        calls.extend(graph.graph.nodes)
        return graph.forward

    torch._dynamo.reset()
    return torch.compile(model, fullgraph=True, backend=backend, dynamic=False), calls


def check_one_graph(model, images, **labels):
    """The whole loss compiles without a break, has the gradient of the model, and checks nothing."""
    twin = copy.deepcopy(model)
    call, calls = compiled(model)
    for outputs in (call(images, **labels), twin(images, **labels)):
        (outputs.task_loss + outputs.regularization_loss).sum().backward()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-8, atol=1e-9)
    assert not [node for node in calls if node.target in WAITS]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_classifiers_of_the_papers(name):
    model = make_used_model(name).train()
    check_one_graph(model, make_images(model.config), labels=make_labels(model.config))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learned-tied"])
def test_networks_that_reconstruct(name):
    model = make_used_model(name, "reconstruction").train()
    check_one_graph(model, make_images(model.config))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVNETS)
def test_networks_over_a_group(name):
    model: Any = make_convnet(name).train()
    check_one_graph(model, make_images(model.config), labels=make_labels(model.config))


@pytest.mark.slow
def test_networks_of_several_seeds():
    model = StackedNetwork([make_used_model("cyclic", seed=seed) for seed in range(2)]).train()
    images, labels = make_images(model.network.config), make_labels(model.network.config)
    check_one_graph(model, torch.stack([images, -images]), labels=torch.stack([labels, labels.flip(0)]))


@pytest.mark.slow
def test_a_second_epoch_compiles_nothing(run, monkeypatch, tmp_path):
    """The last batch of an epoch is smaller and has a graph of its own. Validation between epochs changes nothing."""
    original, sizes = torch.compile, []

    def backend(graph, inputs):
        sizes.extend({len(tensor) for tensor in inputs if tensor.shape[1:] == (1, 8, 8)})
        return graph.forward

    def with_this_backend(model, **options):
        return original(model, **{**options, "backend": backend, "fullgraph": True})

    monkeypatch.setattr(torch, "compile", with_this_backend)
    options = [
        "--dataset",
        "digits",
        "--num_groups",
        "2",
        "--num_layers",
        "2",
        "--filter_size",
        "4",
        "--disable_tqdm",
        "--use_cpu",
    ]
    options += ["--max_train_samples", "100", "--max_test_samples", "50", "--per_device_train_batch_size", "40"]
    torch._dynamo.reset()
    run(*options, "--num_train_epochs", "3", "--torch_compile", "--output_dir", str(tmp_path / "run"))
    assert sizes == [40, 10]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, which imports what it needs for inductor
def test_a_compiled_run_trains_what_a_plain_one_trains(run, tmp_path):
    options = [
        "--dataset",
        "digits",
        "--num_groups",
        "2",
        "--group_order",
        "1",
        "--num_layers",
        "1",
        "--filter_size",
        "3",
        "--disable_tqdm",
    ]
    options += ["--use_cpu", "--max_train_samples", "50", "--max_test_samples", "50", "--num_train_epochs", "1"]
    for name, compile in (("plain", []), ("compiled", ["--torch_compile"])):
        run(*options, *compile, "--output_dir", str(tmp_path / name))
    plain, compiled = (
        json.loads((tmp_path / name / "all_results.json").read_text()) for name in ("plain", "compiled")
    )
    assert compiled["history"][0] == pytest.approx(plain["history"][0], rel=1e-3)


def test_kernels_become_one_cuda_graph_where_gradients_do_not_have_to_outlive_it():
    assert compilation(RunArguments(), on_gpu=True).to_kwargs() == {
        "backend": "inductor",
        "mode": "reduce-overhead",
        "dynamic": False,
    }
    assert compilation(RunArguments(gradient_accumulation_steps=2), on_gpu=True).mode == "default"
    assert compilation(RunArguments(), on_gpu=False).mode == "default"


def test_without_a_compiler_kernels_are_recorded_as_they_are():
    options = compilation(RunArguments(torch_compile_backend="cudagraphs"), on_gpu=True).to_kwargs()
    assert options == {"backend": "cudagraphs", "dynamic": False}


@pytest.mark.parametrize(
    ("on_gpu", "accumulation", "needed"),
    [(False, 1, "a GPU"), (True, 2, "one process and gradient_accumulation_steps=1")],
)
def test_what_cannot_be_recorded(on_gpu, accumulation, needed):
    args = RunArguments(torch_compile_backend="cudagraphs", gradient_accumulation_steps=accumulation)
    with pytest.raises(ValueError, match=f"torch_compile_backend='cudagraphs' needs {needed}: use inductor"):
        compilation(args, on_gpu=on_gpu)
