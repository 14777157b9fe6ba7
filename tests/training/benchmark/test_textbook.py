"""The textbook network computes what ours computes."""

import pytest
import torch
from lgn_training.benchmark.contenders import gradient_error
from lgn_training.benchmark.textbook import TextbookLGN, ordinary_cnn
from torch import nn

from lgn_hf import LGNConfig, LGNForImageClassification

SMALL = LGNConfig(num_channels=3, image_size=12, num_labels=10, num_groups=2, num_layers=3)
CPU = torch.device("cpu")


def test_our_step_has_the_textbooks_gradients():
    assert gradient_error(SMALL, CPU) < 1e-9


def test_the_textbook_has_our_loss_and_projection():
    ours = LGNForImageClassification(SMALL).double().train()
    textbook = TextbookLGN(ours).double().train()
    images, labels = torch.randn(4, 3, 12, 12, dtype=torch.float64), torch.arange(4)
    torch.testing.assert_close(textbook(images, labels), ours(images, labels=labels).loss)
    with torch.no_grad():
        for parameter in textbook.actions.values():
            parameter.mul_(3)
    textbook.project_()
    assert all(float(parameter.detach().norm()) == pytest.approx(1) for parameter in textbook.actions.values())


def test_the_textbook_says_what_it_cannot():
    with pytest.raises(ValueError, match="inverse regularizer"):
        TextbookLGN(LGNForImageClassification(LGNConfig(regularizer="nuclear")))


def test_the_ordinary_network_does_as_many_multiply_adds():
    network = ordinary_cnn(3, 32, 10, 10_000_000)
    convolutions = [module for module in network if isinstance(module, nn.Conv2d)]
    done = sum(conv.weight.numel() * side**2 for conv, side in zip(convolutions, (32, 16), strict=True))
    assert done == pytest.approx(10_000_000, rel=0.05)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
