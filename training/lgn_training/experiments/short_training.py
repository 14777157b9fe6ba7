"""A short training in memory: the steps of a run, without its validation, checkpoints and signals."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.model.modeling_lgn import LGNPreTrainedModel
from lgn_training.arguments import RunArguments
from lgn_training.data.seeds import epoch_indices
from lgn_training.engine.optimization import learning_rate, make_optimizer


def fit(
    network: LGNPreTrainedModel,
    loss: Callable[[Tensor], Tensor],
    images: int,
    *,
    steps: int,
    args: RunArguments | None = None,
    name: str = "training",
) -> None:
    """Train `network` in place as the papers do: Adam, halved learning rates, clipped gradients, projection.

    Args:
        loss: the positions of images, (B,), to their loss.
        images: number of images. A batch has `args.per_device_train_batch_size` of them, or all if they are fewer.
        args: batch size, learning rate and its schedule, clipping and seed; by default those of a run.

    Raises:
        ValueError: the loss is not a number.
    """
    args = args or RunArguments()
    optimizer = make_optimizer(network, args)
    size = min(args.per_device_train_batch_size, images)
    per_epoch = images // size
    epochs = range(math.ceil(steps / per_epoch))
    order = (batch for epoch in epochs for batch in epoch_indices(images, seed=args.seed, epoch=epoch).split(size))
    network.train()
    value = torch.zeros(())
    for step in tqdm(range(steps), desc=name, unit="step", leave=False, delay=2):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, args)
        value = loss(next(order))
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), args.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        network.project_()
    if not torch.isfinite(value):
        raise ValueError(f"{name}: the loss is {float(value.detach())} after {steps} steps")
    network.eval()
