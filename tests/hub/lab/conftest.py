"""A lab that all its tests look at, and what runs its networks."""

from pathlib import Path

import pytest
import torch

from lgn_hf import LGNImageProcessor
from lgn_hf.convnet.configuration_lgn_convnet import LGNConvNetConfig
from lgn_hf.convnet.modeling_lgn_convnet import LGNConvNetForImageClassification
from lgn_hf.hub.lab import cached_runtime, fetch_runtime
from lgn_hf.hub.space import build_space
from tests.conftest import ROOT

PUBLISHED = ["r90-mnist", "baseline-mnist"]
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="session")
def runtime() -> Path:
    """onnxruntime-web, which npm fetches once."""
    try:
        return fetch_runtime(cached_runtime())
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def convnet(tmp_path_factory) -> Path:
    """A network over the rotations by 90 degrees, which nobody trained, with colour images and a class of a hostile name."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "turning"
    config = LGNConvNetConfig(image_size=13, num_channels=3, num_orbits=[3, 2], depths=[1, 1], num_labels=3)
    config.id2label = {0: "zero", 1: HOSTILE, 2: "two"}
    LGNConvNetForImageClassification(config).save_pretrained(folder)
    LGNImageProcessor(13, 3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def space(runtime, convnet, tmp_path_factory) -> Path:
    """An atlas and a lab of two published models and the network above."""
    folder = tmp_path_factory.mktemp("space") / "new"
    places = [*(str(ROOT / "model_cards" / name) for name in PUBLISHED), str(convnet)]
    build_space([(place, None) for place in places], folder, runtime)
    return folder
