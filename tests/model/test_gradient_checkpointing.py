"""Gradient checkpointing: the same losses, gradients and statistics from less memory."""

import copy

import pytest
import torch

from lgn_hf.model.unfolding import BACKENDS
from tests.support.networks import NETWORKS, make_images, make_labels, make_used_model

pytestmark = pytest.mark.filterwarnings(
    "ignore:.gradient_checkpointing_:FutureWarning"
)  # its name until transformers 6
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def through_torch(monkeypatch):
    """As on an accelerator: the compiled layers for CPUs keep no more than codes anyway."""
    monkeypatch.setattr("lgn_hf.model.unfolding.BACKENDS", {})


def one_step(model):
    """Loss and gradients of one training step, and the state after it."""
    images = make_images(model.config)
    labels = {"labels": make_labels(model.config)} if hasattr(model, "classifier") else {}
    loss = model.train()(images, **labels).loss
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **gradients, **{f"after {k}": v.clone() for k, v in model.named_buffers()}}


@pytest.mark.parametrize("options", [None, {"use_reentrant": True}, {"use_reentrant": False}], ids=str)
@pytest.mark.parametrize("head", ["classification", "reconstruction"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_the_same(name, head, options):
    model = make_used_model(name, head)
    other = copy.deepcopy(model)
    other.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
    assert other.is_activation_checkpointing
    expected, found = one_step(model), one_step(other)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, **EXACT, msg=key)


def kept_numbers(model, images) -> int:
    """The numbers that the graph of a forward pass keeps for the gradient, without those of the parameters."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        answer = model(images).last_hidden_state
    del answer
    return sum(kept.values())


def test_a_layer_keeps_its_code_alone():
    model = make_used_model("learned", "base", num_layers=8, num_groups=8, image_size=24).train()
    images = make_images(model.config, batch=4)
    code = model(images).last_hidden_state.numel()
    before = kept_numbers(model, images)
    model.gradient_checkpointing_enable()
    after = kept_numbers(model, images)
    assert before > 20 * code
    assert after < 10 * code  # eight codes, the images and the filters


def test_it_can_be_turned_off_and_evaluation_does_without():
    model = make_used_model("learned")
    calls = []
    model.gradient_checkpointing_enable()
    model.lgn._gradient_checkpointing_func = lambda layer, *arguments: calls.append(1) or layer(*arguments)
    model.eval()(make_images(model.config))
    assert not calls
    model.train()(make_images(model.config))
    assert len(calls) == model.config.num_layers
    model.gradient_checkpointing_disable()
    model(make_images(model.config))
    assert len(calls) == model.config.num_layers


def test_compiled_layers_keep_working(monkeypatch):
    monkeypatch.setattr("lgn_hf.model.unfolding.BACKENDS", dict(BACKENDS))
    model = make_used_model("learned")
    expected = one_step(copy.deepcopy(model))
    model.gradient_checkpointing_enable()
    for key, value in one_step(model).items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-10, msg=key)
