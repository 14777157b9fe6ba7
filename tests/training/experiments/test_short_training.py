"""A short training lowers the loss."""

import pytest
import torch
from lgn_training.experiments.short_training import fit
from torch import Tensor

from lgn_hf import LGNConfig, LGNForImageClassification
from tests.training.experiments.quick_runs import SMALL


def test_fit_lowers_the_loss_and_keeps_the_projection():
    network = LGNForImageClassification(LGNConfig(**SMALL, projection="rms"))
    images, labels = torch.randn(40, 1, 8, 8), torch.arange(40) % 10

    def loss(batch: Tensor) -> Tensor:
        return network(images[batch], labels=labels[batch]).loss

    before = float(loss(torch.arange(40)).detach())
    fit(network, loss, 40, steps=30)
    assert float(loss(torch.arange(40)).detach()) < before - 0.1  # it began at log 10
    assert not network.training
    torch.testing.assert_close(network.group_actions().norm(dim=(-2, -1)), torch.full((2, 2, 1), 4.0))


def test_fit_refuses_a_loss_that_is_no_number():
    network = LGNForImageClassification(LGNConfig(**SMALL))
    with pytest.raises(ValueError, match="the loss is nan after 2 steps"):
        fit(network, lambda batch: torch.nan * network.base_filters().sum(), 4, steps=2)
