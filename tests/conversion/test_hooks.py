"""Projection and regularizer hang on the optimizer."""

import copy

import pytest
import torch
from accelerate import Accelerator
from torch import nn

import lgn_hf
from lgn_hf.conversion import attach
from lgn_hf.nn import LearnedMatrices
from tests.conversion.networks import transformers_model

pytestmark = pytest.mark.usefixtures("quick_fit")


def converted(**way):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    return model, lgn_hf.convert(model, action="learned", init="draw", **way)


def step(model, optimizer):
    model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def norms(model):
    actions = [module for module in model.modules() if isinstance(module, LearnedMatrices)]
    return [action.weight.detach().norm().item() for action in actions]


def test_every_step_ends_with_a_projection():
    model, report = converted()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, optimizer)
    assert norms(model) != pytest.approx([3, 3])
    attachment = report.attach(optimizer)
    step(model, optimizer)
    assert norms(model) == pytest.approx([3, 3])
    attachment.remove()
    step(model, optimizer)
    assert norms(model) != pytest.approx([3, 3])


def test_the_gradient_of_the_regularizer_is_added():
    model, report = converted(regularizer="nuclear", regularizer_weight=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    report.attach(optimizer)
    report.attach(optimizer)  # again is not twice
    weight = model[0].group.weight
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    left, _, right = torch.linalg.svd(weight.detach())
    torch.testing.assert_close(weight.grad, 1 - 0.5 * left @ right, atol=1e-4, rtol=1e-3)


def test_the_optimizer_of_a_copy_needs_the_copy():
    model, report = converted()
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="pass the copy as `model`"):
        report.attach(optimizer)
    report.attach(optimizer, model=twin)
    step(twin, optimizer)
    assert norms(twin) == pytest.approx([3, 3])


def test_what_accelerate_prepared_is_projected():
    model, report = converted()
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    report.attach(optimizer)
    step(wrapped, optimizer)
    assert norms(model) == pytest.approx([3, 3])


def test_other_actions_need_nothing_and_may_be_attached():
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    for action in ("cyclic", "rotation"):
        twin = copy.deepcopy(model)
        report = lgn_hf.convert(twin, action=action)
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
        report.attach(optimizer)
        step(twin, optimizer)


def test_a_regularizer_with_auxiliary_inverses_is_refused():
    model, _ = converted()
    with pytest.raises(ValueError, match="must be one of none, nuclear, logdet"):
        attach(model, torch.optim.SGD(model.parameters()), "inverse")


@pytest.mark.slow
@pytest.mark.parametrize("own_optimizer", [False, True])
def test_under_the_trainer(own_optimizer, tmp_path):
    from transformers import Trainer, TrainingArguments

    model = transformers_model()
    report = lgn_hf.convert(model, action="learned", regularizer="logdet")
    data = [{"pixel_values": torch.randn(3, 16, 16), "labels": i % 3} for i in range(8)]
    arguments = TrainingArguments(
        str(tmp_path), max_steps=3, use_cpu=True, report_to=[], save_strategy="steps", save_steps=3
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if own_optimizer else None
    if optimizer is not None:
        report.attach(optimizer)
    trainer = Trainer(
        model,
        arguments,
        train_dataset=data,
        optimizers=(optimizer, None),
        callbacks=[] if own_optimizer else [report.callback()],
    )
    trainer.train()
    assert norms(model) == pytest.approx(
        [module.norm for module in model.modules() if isinstance(module, LearnedMatrices)]
    )
    loaded = lgn_hf.converted_from_pretrained(type(model), tmp_path / "checkpoint-3")
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
