"""The models that are published: each folder is whole and small, can be built for the Hub, and keeps its word."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel

from lgn_hf import LGNImageProcessor, load_actions
from lgn_hf.hub.build import build
from lgn_hf.hub.check import check_model_folder
from lgn_hf.hub.folder import contents, is_model_folder
from lgn_hf.hub.trial import validate
from lgn_hf.remote_code import remote_modules
from lgn_hf.runs.family import family_of
from tests.conftest import ROOT, read_folder

CARDS = ROOT / "model_cards"
FOLDERS = sorted(path.parent for path in CARDS.glob("*/config.json"))
ONE_OF_EACH_KIND = ["lgn-cifar10-reconstruction", "convnet-rotmnist-discovered-c4"]  # test_trial.py has a classifier

NUM_IMAGES = {"classification": 400, "reconstruction": 1000}

of_every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def results_of(folder: Path) -> dict:
    return json.loads((folder / "all_results.json").read_text())


def load(folder: Path) -> Any:
    recipe = results_of(folder)["recipe"]
    return family_of(recipe).network_class(recipe["task"]).from_pretrained(folder).eval()


@of_every_folder
def test_is_whole_and_small(folder: Path):
    check_model_folder(folder)
    assert sum(contents(folder).values()) < 5e6


@of_every_folder
def test_holds_no_python(folder: Path):
    assert is_model_folder(folder)
    assert not [*folder.rglob("*.py")]


@of_every_folder
def test_is_what_the_auto_classes_load(folder: Path):
    """With the package alone: the folder has no code, and none is asked for."""
    family = family_of(results_of(folder)["recipe"])
    assert type(AutoConfig.from_pretrained(folder)) is family.config_class
    assert type(AutoModel.from_pretrained(folder)) is family.model_class(None)
    assert type(AutoImageProcessor.from_pretrained(folder)) is LGNImageProcessor


@pytest.mark.slow
def test_one_of_each_kind_can_be_built_for_the_hub_and_works_there(tmp_path):
    """`make cards` builds every folder."""
    validate(*(build_from(CARDS / name, tmp_path / name) for name in ONE_OF_EACH_KIND))


def build_from(folder: Path, target: Path) -> Path:
    """Build a repository, from a model folder that stays as it is.

    Today's code may write other cards and more figures, but it writes the same files, and the same weights.
    """
    before = read_folder(folder)
    made = build(folder, target, repo_id=f"lgn-hf/{folder.name}")
    modules = {*remote_modules(family_of(results_of(folder)["recipe"]).model_type)}
    added = contents(made).keys() - before.keys() - modules
    assert contents(made).keys() >= before.keys() | modules
    assert all(name.startswith("figures/") for name in added)
    for name in ("model.safetensors", "all_results.json", "recipe.yaml"):
        assert (made / name).read_bytes() == before[name], name
    assert read_folder(folder) == before
    return made


def test_one_of_each_kind_is_tried():
    assert {*ONE_OF_EACH_KIND} <= {folder.name for folder in FOLDERS}


@of_every_folder
def test_actions_are_the_model_s(folder: Path):
    model = load(folder)
    assert torch.allclose(load_actions(folder).matrices, model.actions().matrices, atol=1e-6)


@of_every_folder
@pytest.mark.skipif("LGN_HF_DATA" not in os.environ, reason="LGN_HF_DATA names no folder of real MNIST and CIFAR-10")
@pytest.mark.slow
def test_is_as_good_as_its_card_says(folder: Path):
    """On some test images: an accuracy within three standard errors, a relative error within a twentieth."""
    from lgn_training.data import load_test_images, local_copy

    results = results_of(folder)
    source = local_copy(results["recipe"]["dataset"], Path(os.environ["LGN_HF_DATA"]))
    count = NUM_IMAGES[results["recipe"]["task"]]
    images = load_test_images(source, seed=results["seed"], max_test_samples=count)
    pixel_values = LGNImageProcessor.from_pretrained(folder).pixel_values(images.images)
    with torch.no_grad():
        outputs = load(folder)(pixel_values)
    if results["recipe"]["task"] == "reconstruction":
        missed = (outputs.reconstruction - pixel_values).square().mean() / pixel_values.square().mean()
        assert missed.item() == pytest.approx(results["test_relative_error"], rel=0.05)
        return
    found = outputs.logits.argmax(1)
    accuracy, expected = (found == images.labels).double().mean().item(), results["test_accuracy"]
    assert abs(accuracy - expected) < 3 * (expected * (1 - expected) / count) ** 0.5
