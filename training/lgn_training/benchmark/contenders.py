"""What is compared: networks for random images, each with its optimiser and one training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgn_hf import LGNConfig, LGNForImageClassification
from lgn_training.arguments import RunArguments
from lgn_training.benchmark.textbook import TextbookLGN
from lgn_training.engine.optimization import make_optimizer

SHAPES = {"mnist": (1, 28), "cifar10": (3, 32)}  # channels, side


def make_config(data: str, **fields: Any) -> LGNConfig:
    channels, side = SHAPES[data]
    fields = {"num_channels": channels, "image_size": side, "num_labels": 10, **fields}
    return LGNConfig(**fields)


def free_filters(data: str) -> LGNConfig:
    """The same number of filters, without groups."""
    default = LGNConfig()
    return make_config(data, num_groups=default.num_groups * default.group_order, group_order=1)


def make_batch(data: str, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    channels, side = SHAPES[data]
    return torch.randn(size, channels, side, side, device=device), torch.randint(10, (size,), device=device)


def on(device: torch.device, network: Any) -> Any:
    return network.to(device)


def our_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return network(images, labels=labels).loss


def mixed_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16):
        return our_loss(network, images, labels)


def plain_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(network(images), labels)


class Contender:
    """A network with its optimiser, and one training step of it: forward, loss, backward, clip, Adam, projection."""

    def __init__(self, network: nn.Module, loss: Callable = our_loss, optimizer: torch.optim.Optimizer | None = None):
        self.network: Any = network.train()
        self.loss, self.args = loss, RunArguments()
        self.optimizer = optimizer or make_optimizer(network, self.args)
        self.project = getattr(getattr(network, "module", network), "project_", None)

    @classmethod
    def ours(cls, config: LGNConfig, device: torch.device, loss: Callable = our_loss) -> Contender:
        torch.manual_seed(0)
        return cls(on(device, LGNForImageClassification(config)), loss)

    @classmethod
    def textbook(cls, config: LGNConfig, device: torch.device) -> Contender:
        torch.manual_seed(0)
        network = on(device, TextbookLGN(LGNForImageClassification(config)))
        return cls(network, nn.Module.__call__, torch.optim.Adam(network.parameters(), lr=RunArguments.learning_rate))

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.loss(self.network, images, labels).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.project:
            self.project()


def gradient_error(config: LGNConfig, device: torch.device) -> float:
    """The largest relative difference of a gradient between our step and the textbook's, in float64."""
    torch.manual_seed(0)
    ours = on(device, LGNForImageClassification(config).double().train())
    textbook = on(device, TextbookLGN(ours).double().train())
    shape = (8, config.num_channels, config.image_size, config.image_size)
    images, labels = torch.randn(shape, dtype=torch.float64, device=device), torch.arange(8, device=device)
    ours(images, labels=labels).loss.backward()
    textbook(images, labels).backward()
    theirs = textbook.gradients()
    return max(
        float((p.grad - theirs[name]).abs().max() / theirs[name].abs().max().clamp_min(1e-12))
        for name, p in ours.named_parameters()
        if p.grad is not None
    )
