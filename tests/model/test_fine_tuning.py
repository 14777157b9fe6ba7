"""Models of this package under transformers' own `Trainer`."""

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from lgn_hf import LGNConfig, LGNForImageClassification
from tests.support.networks import make_images, make_labels, make_used_model


def arguments_for(folder, **fields) -> TrainingArguments:
    common = {"report_to": [], "use_cpu": True, "disable_tqdm": True, "optim": "sgd", "learning_rate": 0.5}
    return TrainingArguments(output_dir=str(folder), **{**common, "save_strategy": "no", **fields})


def examples_for(config: LGNConfig, count: int) -> list[dict]:
    images, labels = make_images(config, count).float(), make_labels(config, count)
    return [{"pixel_values": image, "labels": label} for image, label in zip(images, labels, strict=True)]


@pytest.mark.parametrize("per_step", [8, 2, 1])
def test_accumulated_batches_make_the_step_of_one_large_batch(per_step, tmp_path):
    model = make_used_model("learned-free").float()
    images, labels = make_images(model.config, 8).float(), make_labels(model.config, 8)
    model.train()
    model(images, labels).loss.backward()
    expected = {name: p.detach() - 0.5 * p.grad for name, p in model.named_parameters() if p.grad is not None}

    arguments = arguments_for(
        tmp_path, max_steps=1, per_device_train_batch_size=per_step, gradient_accumulation_steps=8 // per_step,
        lr_scheduler_type="constant", max_grad_norm=0,
    )  # fmt: skip
    examples = [{"pixel_values": image, "labels": label} for image, label in zip(images, labels, strict=True)]
    model.zero_grad()
    Trainer(model=model, args=arguments, train_dataset=examples).train()
    for name, value in expected.items():
        torch.testing.assert_close(dict(model.named_parameters())[name].detach(), value, rtol=1e-4, atol=1e-5)


def test_predictions_are_the_logits_alone(tmp_path):
    """So that any `compute_metrics` of an image classifier works."""
    model = make_used_model("learned-free").float()
    examples = examples_for(model.config, 11)

    def accuracy(found) -> dict[str, float]:
        return {"accuracy": float((np.argmax(found.predictions, axis=1) == found.label_ids).mean())}

    arguments = arguments_for(tmp_path, per_device_eval_batch_size=4)
    trainer = Trainer(model=model, args=arguments, eval_dataset=examples, compute_metrics=accuracy)
    assert trainer.predict(examples).predictions.shape == (11, model.config.num_labels)
    with torch.no_grad():
        best = model.eval()(torch.stack([example["pixel_values"] for example in examples])).logits.argmax(1)
    expected = np.mean([int(label == example["labels"]) for label, example in zip(best, examples, strict=True)])
    assert trainer.evaluate()["eval_accuracy"] == pytest.approx(expected)


def test_a_callback_projects_after_each_step(tmp_path):
    """As README says."""

    class Project(TrainerCallback):
        def on_optimizer_step(self, args, state, control, model, **kwargs):
            model.project_()

    model = make_used_model("learned").float()
    assert model.config.projection == "frobenius"
    examples = examples_for(model.config, 8)
    Trainer(
        model=model, args=arguments_for(tmp_path, max_steps=2), train_dataset=examples, callbacks=[Project()]
    ).train()
    norms = model.group_actions().detach().flatten(-2).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.slow
def test_a_run_that_is_resumed_has_auxiliary_matrices_of_its_actions(tmp_path):
    config = LGNConfig(image_size=8, num_groups=2, group_order=2, num_layers=2, filter_size=3, num_labels=3)
    examples, steps = examples_for(config, 8), {"per_device_train_batch_size": 8, "learning_rate": 1e-3}
    model = LGNForImageClassification(config)
    arguments = arguments_for(tmp_path, **steps, max_steps=1, save_strategy="steps", save_steps=1)
    Trainer(model=model, args=arguments, train_dataset=examples).train()

    fresh = LGNForImageClassification(config)
    arguments = arguments_for(tmp_path, **steps, max_steps=1)
    Trainer(model=fresh, args=arguments, train_dataset=examples).train(resume_from_checkpoint=True)
    assert torch.equal(fresh.group_actions(), model.group_actions())
    products = fresh.group_actions() @ fresh.base_model.auxiliary_inverses.detach()
    torch.testing.assert_close(products, torch.eye(9).expand_as(products), atol=1e-3, rtol=0)
