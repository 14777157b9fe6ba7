"""Both ONNX exporters of torch take networks over a group of fixed matrices, and the older one learned ones."""

import pytest
import torch

from lgn_hf import LGNConvNetConfig, LGNConvNetForImageClassification
from tests.support.onnx_exporters import check_exporter

FIELDS = {
    "fixed": {
        "group": "dihedral",
        "num_channels": 3,
        "downsampling": "mean",
        "spatial_pooling": "mean",
        "downsample_in_first_stage": True,
    },
    "learned": {"group": "rotation", "action": "learned", "orbit_pooling": "none", "downsample_in_first_stage": True},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "exporter"), [("fixed", "torch.jit"), ("fixed", "torch.export"), ("learned", "torch.jit")]
)
def test_the_graph_answers_as_the_network_for_any_batch(kind, exporter):
    torch.manual_seed(0)
    config = LGNConvNetConfig(image_size=9, num_orbits=[2], depths=[1], num_labels=3, **FIELDS[kind])
    images = torch.rand(8, config.num_channels, 9, 9)
    network = LGNConvNetForImageClassification(config)
    network(images)  # statistics that are not those of the start
    network.eval().config.return_dict = False
    check_exporter(network, [images[:3], images[:1], images], exporter)
