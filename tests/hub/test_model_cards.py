"""The models that are published: each folder is whole, is what building it again would make, and keeps its word."""

import json
import os
from pathlib import Path

import pytest
import torch

from lgn_hf import LGNImageProcessor, load_actions
from lgn_hf.hub.cards import render_card
from lgn_hf.hub.publication import check, contents
from lgn_hf.model.modeling_lgn import LGNPreTrainedModel
from lgn_hf.runs.task import TASKS
from tests.conftest import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "model_cards").glob("*/config.json"))

pytestmark = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def results_of(folder: Path) -> dict:
    return json.loads((folder / "all_results.json").read_text())


def load(folder: Path) -> LGNPreTrainedModel:
    return TASKS[results_of(folder)["recipe"]["task"]].model_class.from_pretrained(folder).eval()


def test_is_whole_and_small(folder: Path):
    check(folder)
    assert sum(contents(folder).values()) < 5e6


def test_is_as_it_would_be_built_today(folder: Path):
    """Else: `make cards`."""
    for module in folder.glob("*.py"):
        assert module.read_bytes() == (ROOT / "lgn_hf" / module.name).read_bytes(), module.name
    assert (folder / "README.md").read_text() == render_card(folder, f"lgn-hf/{folder.name}")


def test_actions_are_the_model_s(folder: Path):
    model = load(folder)
    assert torch.allclose(load_actions(folder).matrices, model.group_actions().detach(), atol=1e-6)


@pytest.mark.skipif("LGN_HF_DATA" not in os.environ, reason="LGN_HF_DATA names no folder of real MNIST and CIFAR-10")
def test_is_as_good_as_its_card_says(folder: Path):
    """On a thousand test images: an accuracy within three standard errors, a relative error within a twentieth."""
    from lgn_training.data import load_test_images, local_copy

    results = results_of(folder)
    source = local_copy(results["recipe"]["dataset"], Path(os.environ["LGN_HF_DATA"]))
    images = load_test_images(source, seed=results["seed"], max_test_samples=1000)
    pixel_values = LGNImageProcessor.from_pretrained(folder).pixel_values(images.images)
    with torch.no_grad():
        outputs = load(folder)(pixel_values)
    if results["recipe"]["task"] == "reconstruction":
        missed = (outputs.reconstruction - pixel_values).square().mean() / pixel_values.square().mean()
        assert missed.item() == pytest.approx(results["test_relative_error"], rel=0.05)
        return
    found = outputs.logits.argmax(1)
    accuracy, expected = (found == images.labels).double().mean().item(), results["test_accuracy"]
    assert abs(accuracy - expected) < 3 * (expected * (1 - expected) / 1000) ** 0.5
