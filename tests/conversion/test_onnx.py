"""The older ONNX exporter takes networks whose convolutions were converted, with every action, and the newer one rotations."""

from itertools import product

import pytest
import torch
from torch import nn

from lgn_hf import convert
from lgn_hf.conversion.actions import ACTIONS
from tests.conversion.networks import transformers_model
from tests.support.onnx_exporters import check_exporter


@pytest.mark.slow
@pytest.mark.parametrize(("action", "exporter"), [*product(ACTIONS, ["torch.jit"]), ("rotation", "torch.export")])
def test_the_graph_answers_as_the_network_for_any_batch(action, exporter):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=2)).eval()
    convert(network, action=action, order=4)
    images = torch.rand(4, 3, 9, 9)
    check_exporter(network, [images[:2], images[:1], images], exporter)


@pytest.mark.slow
def test_a_model_of_transformers():
    model = transformers_model()
    convert(model, order=4)
    model.config.return_dict = False
    images = torch.rand(3, 3, 32, 32)
    check_exporter(model, [images[:2], images], "torch.jit")
