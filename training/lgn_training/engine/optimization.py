"""The optimiser, and the learning rate at each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from lgn_training.arguments import RunArguments

UNDECAYED = (
    "threshold",
    "bias",
    "norm",
    "action.basis",
)  # parts of names of parameters that weight decay leaves alone


def make_optimizer(model: nn.Module, args: RunArguments) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay. Without decay it is the Adam of the papers."""
    decayed, kept = [], []
    for name, parameter in model.named_parameters():
        (kept if any(part in name for part in UNDECAYED) else decayed).append(parameter)
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": args.weight_decay}, {"params": kept, "weight_decay": 0.0}],
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        fused=True,
    )


def learning_rate(step: int, total_steps: int, args: RunArguments) -> float:
    """The learning rate of optimiser step `step` (from 0). It depends on the step alone, so a resumed run needs no state.

    A linear warm-up, then `multistep` (times `lr_decay` after each milestone; the papers halve at 50, 75 and 87.5% of
    training, appendix C), `cosine` or `linear` to 0, or `constant`.
    """
    progress = step / max(total_steps, 1)
    if progress < args.warmup_ratio:
        return args.learning_rate * (step + 1) / (args.warmup_ratio * total_steps + 1)
    remaining = 1 - (progress - args.warmup_ratio) / (1 - args.warmup_ratio)
    factor = {
        "multistep": args.lr_decay ** sum(progress >= share for share in args.lr_milestones),
        "cosine": (1 - math.cos(math.pi * remaining)) / 2,
        "linear": remaining,
        "constant": 1.0,
    }[args.lr_scheduler_type]
    return args.learning_rate * factor
