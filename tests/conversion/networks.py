"""Small networks to convert."""

import torch
from torch import nn

from lgn_hf.conversion import ConvertedConv2d


def small(seed: int = 0) -> nn.Sequential:
    """Convolutions of several kinds: with and without bias, with a stride, dilated, grouped, depthwise, 1 x 1."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, (3, 5), stride=2, padding=(1, 2), bias=False, padding_mode="reflect"),
        nn.Conv2d(16, 16, 3, padding="same", dilation=2, groups=2),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Conv2d(16, 8, 1),
        nn.Conv2d(8, 6, 3),
    )


def transformers_model(seed: int = 0):
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(seed)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
    return ResNetForImageClassification(config).eval()


def planted(channels: int, filters: int, kernel_size: int, group, seed: int = 0, **options) -> nn.Conv2d:
    """A convolution whose filters are orbits of a group, in random order."""
    torch.manual_seed(seed)
    conv = nn.Conv2d(channels, filters, kernel_size, **options)
    layer = ConvertedConv2d(conv, group)
    layer.output_order.copy_(torch.randperm(filters))
    conv.weight.data.copy_(layer.filters().detach())
    return conv
