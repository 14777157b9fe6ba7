"""Models of this package under transformers' own `Trainer`."""

import pytest
import torch
from networks import make_images, make_labels, make_used_model
from transformers import Trainer, TrainingArguments


@pytest.mark.parametrize("per_step", [8, 2, 1])
def test_accumulated_batches_make_the_step_of_one_large_batch(per_step, tmp_path):
    model = make_used_model("learned-free").float()
    images, labels = make_images(model.config, 8).float(), make_labels(model.config, 8)
    model.train()
    model(images, labels).loss.backward()
    expected = {name: p.detach() - 0.5 * p.grad for name, p in model.named_parameters() if p.grad is not None}

    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=per_step, gradient_accumulation_steps=8 // per_step,
        learning_rate=0.5, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    examples = [{"pixel_values": image, "labels": label} for image, label in zip(images, labels, strict=True)]
    model.zero_grad()
    Trainer(model=model, args=arguments, train_dataset=examples).train()
    for name, value in expected.items():
        torch.testing.assert_close(dict(model.named_parameters())[name].detach(), value, rtol=1e-4, atol=1e-5)
