"""Operations of a training step: multiply-adds, and operations that are dispatched."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode

from lgn_hf import LGNConfig, LGNForImageClassification


def step_operations(config: LGNConfig, batch_size: int) -> int:
    """Operations of the convolution-sized products that a step needs, two for each multiply-add.

    Forward L analyses and L - 1 syntheses (the first layer starts from a zero code); backward 2 L - 1 filter gradients
    and 2 (L - 1) input gradients.
    """
    products = 2 * (2 * config.num_layers - 1) + 2 * (config.num_layers - 1)
    return 2 * products * batch_size * product_size(config)


def product_size(config: LGNConfig) -> int:
    """Multiply-adds of one convolution-sized product for one image."""
    return config.code_size**2 * config.num_filters * config.num_channels * config.filter_dim


class OperationCount(TorchDispatchMode):
    """Counts the tensor operations that reach a device, views included."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def group_work(network: LGNForImageClassification) -> None:
    """The work that groups add to a step: orbits, regularizer and projection, forward and backward."""
    (network.filter_bank().sum() + network.regularization_loss()).backward()
    network.zero_grad()
    network.project_()


def group_operations(network: LGNForImageClassification) -> int:
    with OperationCount() as counter:
        group_work(network)
    return counter.count
