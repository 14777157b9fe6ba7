"""Random actions, for the tests of what actions do and hold."""

import torch

from lgn_hf import Actions

N, D, ORDER = 3, 9, 4  # filters are N x N
LAYERS, GROUPS, CHANNELS = 2, 3, 2


def make_actions(*shape: int, order: int = ORDER, **options) -> Actions:
    """Gaussian actions, by default (LAYERS, GROUPS, CHANNELS) of them."""
    return Actions(torch.randn(*(shape or (LAYERS, GROUPS, CHANNELS)), D, D), order, **options)
