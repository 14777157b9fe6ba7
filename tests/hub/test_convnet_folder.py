"""The folder of a network over a group is built, checked and tried as that of the first family."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from lgn_training import evaluate_model
from safetensors.torch import load_file, save_file

from lgn_hf import LGNConvNetForImageClassification, LGNImageProcessor, load_actions
from lgn_hf.hub.action_dataset import actions_dataset, load_actions_dataset
from lgn_hf.hub.atlas_document import atlas_document
from lgn_hf.hub.build import build
from lgn_hf.hub.check import check, check_model_folder
from lgn_hf.hub.extraction import extract
from lgn_hf.hub.folder import contents, is_model_folder, is_repository
from lgn_hf.hub.run_folder import read_baseline, read_run
from lgn_hf.nn import LinearGroup
from lgn_hf.prediction import predict
from lgn_hf.remote_code import remote_modules
from lgn_hf.runs.trained_model import open_trained_model
from tests.conftest import ROOT, read_folder
from tests.support.damage import change_json

pytestmark = pytest.mark.usefixtures("blank_figures")

NAME = "tester/convnet-digits"
IMAGE = ROOT / "model_cards" / "lgn-mnist" / "examples" / "1.png"


@pytest.fixture
def built(published_convnet, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(published_convnet, tmp_path / "built"))


@pytest.fixture
def run(trained_convnet, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained_convnet, tmp_path / "run"))


@pytest.mark.slow
def test_a_repository_holds_the_modules_of_its_family(published_convnet, tmp_path):
    assert is_repository(published_convnet)
    names = {path for path in contents(published_convnet) if path.endswith(".py")}
    assert names == remote_modules("lgn_convnet").keys()
    assert "equivariance.json" in contents(published_convnet)
    folder = build(published_convnet, tmp_path / "folder", repo_id=NAME, modules=False)
    assert is_model_folder(folder)
    assert read_folder(build(folder, tmp_path / "again", repo_id=NAME)) == read_folder(published_convnet)


def test_what_is_not_whole_is_refused(built):
    (built / "orbit_norm.py").unlink()
    with pytest.raises(ValueError, match=r"lacks modules for remote code \(.*orbit_norm\.py\)"):
        check(built)
    model = LGNConvNetForImageClassification.from_pretrained(built)
    model.group_actions = lambda: torch.eye(9).repeat(4, 1, 1)  # another group
    model.actions().save(built)
    with pytest.raises(ValueError, match=r"actions\.safetensors does not hold the actions of model\.safetensors"):
        check_model_folder(built)


def test_files_of_different_runs_are_refused(run):
    change_json(run / "config.json", orbit_pooling="mean")
    with pytest.raises(ValueError, match="are of different runs: orbit_pooling is 'mean' and 'max'"):
        read_run(run)
    change_json(run / "config.json", orbit_pooling="max", architectures=["LGNConvNetModel"])
    message = r"describes \['LGNConvNetModel'\], recipe.yaml the task 'classification'; allowed are LGNConvNetForImage"
    with pytest.raises(ValueError, match=message):
        read_run(run)


def test_weights_of_another_network_are_refused(run):
    tensors = load_file(run / "model.safetensors")
    tensors["classifier.weight"] = torch.zeros(3, 3)
    save_file(tensors, run / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"model\.safetensors does not belong to config\.json"):
        read_run(run)


def test_only_the_free_twin_is_a_baseline(run, tmp_path):
    results = json.loads((run / "all_results.json").read_text())
    other = tmp_path / "all_results.json"

    def save(**fields: object) -> None:
        other.write_text(json.dumps({**results, "recipe": {**results["recipe"], **fields}}))

    save(group="dihedral")
    with pytest.raises(ValueError, match="has group 'dihedral': must be trivial"):
        read_baseline(other, run, results)
    save(model_type="lgn", group_order=1)
    with pytest.raises(ValueError, match="has model_type 'lgn', the run 'lgn_convnet': must be the same"):
        read_baseline(other, run, results)
    save(group="trivial")
    assert read_baseline(other, run, results) == json.loads(other.read_text())


# What else takes a model


def test_its_actions_are_opened_with_the_filters_of_the_first_layer(trained_convnet, published_convnet, tmp_path):
    run, published = (open_trained_model(folder).actions for folder in (trained_convnet, published_convnet))
    assert run.matrices.equal(published.matrices)
    assert run.basis is not None
    assert published.basis is not None
    assert run.basis.equal(published.basis)
    assert {*run.config, "group_order"} == {*published.config}
    files = {path.name for path in extract(open_trained_model(trained_convnet), tmp_path / "out")}
    assert files == {"actions.safetensors", "actions.json", "actions.csv", "elements.png", "filters-0.png"}
    assert LinearGroup.from_generators(list(load_actions(published_convnet))).name == "C_4"


def test_its_elements_are_a_data_set_and_come_back(published_convnet):
    source = open_trained_model(published_convnet)
    rows = actions_dataset([source, open_trained_model("model_cards/r90-mnist")])
    assert rows["label"][:4] == ["identity", *(f"rotation by {a} degrees" for a in (90, 180, 270))]
    back = load_actions_dataset(rows)[source.name]
    assert back.matrices.equal(source.actions.matrices)
    assert back.config["group_name"] == "C_4"


def test_the_atlas_names_elements_and_their_orders(tmp_path):
    from lgn_hf import LGNConvNetConfig, LGNConvNetModel

    for name, group in (("d4", "dihedral"), ("free", "trivial")):
        LGNConvNetModel(LGNConvNetConfig(group=group, num_orbits=[2], depths=[1])).save_pretrained(tmp_path / name)
    sources = [open_trained_model(tmp_path / "d4"), open_trained_model(tmp_path / "free")]
    d4, free, rotations = atlas_document([*sources, open_trained_model("model_cards/r90-mnist")])["models"]
    assert (d4["unit"], d4["order"]) == ("element", 8)
    assert [action["order"] for action in d4["actions"]] == [1, 4, 2, 4, 2, 2, 2, 2]
    assert dict(d4["facts"])["Network"] == "residual network over D₄, filters 3 \N{MULTIPLICATION SIGN} 3"
    assert dict(free["facts"])["Network"] == "residual network, free filters 3 \N{MULTIPLICATION SIGN} 3"
    assert rotations["unit"] == "group"
    assert {action["order"] for action in rotations["actions"]} == {None}


def test_it_classifies_image_files(trained_convnet, published_convnet):
    [[first]] = predict(trained_convnet, [IMAGE], top=1)
    assert [[first]] == predict(published_convnet, [IMAGE], top=1)
    assert first.label in "0123456789"


def test_filters_of_its_orbits_are_points_to_search(trained_convnet):
    from lgn_hf.discovery.filter_bank import read_filters

    model = LGNConvNetForImageClassification.from_pretrained(trained_convnet)
    torch.testing.assert_close(read_filters(str(trained_convnet)), model.filter_bank().flatten(0, 1))
    assert read_filters(str(trained_convnet), "stages.0.0.conv1").shape == (8, 8, 3, 3)


# Whole ways


@pytest.mark.slow
def test_a_model_that_was_fine_tuned_elsewhere_is_measured_and_published(published_convnet, tmp_path):
    folder = tmp_path / "fine-tuned"
    LGNConvNetForImageClassification.from_pretrained(published_convnet).save_pretrained(folder)
    LGNImageProcessor.from_pretrained(published_convnet).save_pretrained(folder)
    with pytest.raises(ValueError, match="is first measured with"):
        build(folder, tmp_path / "built")
    options = ["--dataset", "digits", "--record", "--base_model", NAME]
    assert evaluate_model.main([str(folder), *options]) == 0
    card = (build(folder, tmp_path / "built", repo_id="tester/mine") / "README.md").read_text()
    assert f"It started from [{NAME}](https://huggingface.co/{NAME})" in card
    assert "over the linear group **C₄**" in card
