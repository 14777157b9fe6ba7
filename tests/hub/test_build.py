"""From a run to a folder: it is whole and true, and nothing else is touched."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lgn_training.arguments import parse_arguments
from safetensors.torch import load_file

from lgn_hf import LGNForImageClassification, LGNImageProcessor, load_actions
from lgn_hf.hub import build as building
from lgn_hf.hub import folder as folders
from lgn_hf.hub.build import build
from lgn_hf.hub.folder import contents, is_built, is_model_folder, is_repository, own_modules
from lgn_hf.remote_code import remote_modules
from tests.conftest import NOTE, ROOT, read_folder
from tests.conftest import PUBLISHED_AS as NAME
from tests.model.test_remote_modules import WHY
from tests.support.damage import change_json, damage

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture
def run(trained_run, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


@pytest.mark.slow
def test_the_folder_has_everything_and_nothing_else(published, trained_run):
    names = set(contents(published))
    assert {*folders.MODEL_FILES, "modeling_lgn.py", "image_processing_lgn.py", "whitening.safetensors"} <= names
    assert {path for path in names if path.startswith("figures/")} >= {"figures/gallery.png", "figures/spectra.png"}
    assert not [path for path in names if "checkpoint" in path or path.startswith(".")]
    weights, own = load_file(published / "model.safetensors"), load_file(trained_run / "model.safetensors")
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[key], own[key]) for key in own)
    assert not [key for key in weights if "auxiliary" in key]
    assert load_actions(published).name == NAME
    assert is_built(published)
    assert not is_built(trained_run)


def test_a_folder_built_from_a_built_one_is_the_same_to_the_byte(published, tmp_path):
    assert read_folder(build(published, tmp_path / "folder", repo_id=NAME)) == read_folder(published)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_results_and_recipe_name_no_local_folder(run, tmp_path, monkeypatch):
    """And the recipe trains: the program reads it."""
    monkeypatch.setattr(building, "draw_figures", lambda actions, folder: [])
    results, recipe = (run / "all_results.json"), yaml.safe_load((run / "recipe.yaml").read_text())
    local = {"dataset": f"{tmp_path}/data/digits-copy", "output_dir": f"{tmp_path}/runs/x", "push_to_hub": True}
    local |= {"hub_model_id": "tester/other"}
    local |= {"also_test_on": [f"rotated:{local['dataset']}", f"{tmp_path}/data/letters"]}
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **local}))
    data = {**json.loads(results.read_text())["data"], "source": local["dataset"]}
    change_json(results, recipe={**recipe, **local}, data=data)
    change_json(results, also_tested_on={source: {"accuracy": 0.5} for source in local["also_test_on"]})
    baseline = Path(shutil.copytree(run, tmp_path / "baseline"))
    change_json(baseline / "all_results.json", recipe={**recipe, **local, "group_order": 1})

    for dataset, expected in ((None, "digits-copy"), ("user/digits", "user/digits")):
        folder = build(run, tmp_path / "made", dataset=dataset, dataset_note=NOTE, baseline=baseline)
        for path, content in read_folder(folder).items():
            assert str(tmp_path).encode() not in content, path
        parsed = parse_arguments([str(folder / "recipe.yaml")])
        assert (parsed.run.dataset, parsed.run.output_dir, parsed.run.push_to_hub) == (expected, "runs/made", False)
        published = json.loads((folder / "all_results.json").read_text())
        assert published["recipe"]["dataset"] == published["data"]["source"] == expected
        assert published["data"]["note"] == NOTE
        assert parsed.run.also_test_on == list(published["also_tested_on"]) == [f"rotated:{expected}", "letters"]
        assert json.loads((folder / "baseline_results.json").read_text())["recipe"]["dataset"] == expected


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("unfinished", "holds no complete run .*--resume"),
        ("no weights", r"lacks model\.safetensors"),
        ("other config", r"recipe\.yaml are of different runs: num_groups is 3 and 2"),
        ("other recipe", r"recipe\.yaml are of different runs: filter_size is 3 and 5"),
        ("other results", r"model\.safetensors has .* parameters, the model of all_results\.json 7"),
        ("other processor", r"preprocessor_config\.json makes images \(1, 9\)"),
        ("other task", r"describes \['LGNModel'\]"),
        ("results are no JSON", r"all_results\.json is not JSON"),
        ("results are a list", r"all_results\.json is not what training/run\.py writes"),
    ],
)
def test_a_run_whose_files_do_not_belong_together_is_refused(run, tmp_path, how, message):
    damage(run, how)
    with pytest.raises(ValueError, match=message) as error:
        build(run, tmp_path / "made")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("baseline", ["nowhere", "with groups", "other test images"])
def test_a_baseline_is_a_run_without_groups_on_the_same_data(run, tmp_path, baseline):
    messages = {
        "nowhere": "neither",
        "with groups": "group_order 2: must be 1",
        "other test images": "must be the same",
    }
    other = tmp_path / "other.json"
    results = json.loads((run / "all_results.json").read_text())
    if baseline != "nowhere":
        order = 2 if baseline == "with groups" else 1
        other.write_text(
            json.dumps({**results, "recipe": {**results["recipe"], "group_order": order}, "data": {"test": 1}})
        )
    with pytest.raises(ValueError, match=messages[baseline]):
        build(run, tmp_path / "made", baseline=other)


@pytest.mark.parametrize("held", ["a file", "foreign files", "a run", "a built folder and a note"])
def test_only_what_was_built_is_replaced(trained_run, published, tmp_path, held):
    target = tmp_path / "target"
    if held == "a file":
        target.write_text("mine")
    elif held == "foreign files":
        target.mkdir()
        (target / "README.md").write_text("mine")
    else:
        shutil.copytree(trained_run if held == "a run" else published, target)
        (target / "notes.txt").write_text("mine")
    before = read_folder(target) if target.is_dir() else target.read_text()
    with pytest.raises(
        ValueError, match=r"is a file: choose a folder|holds something else than earlier output of this command"
    ):
        build(trained_run, target)
    assert before == (read_folder(target) if target.is_dir() else target.read_text())


def test_a_build_that_fails_leaves_what_was_there(trained_run, folder, tmp_path, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(building, "draw_figures", lambda actions, folder: [])
    monkeypatch.setattr(building, "write_card", full)
    before = read_folder(folder)
    with pytest.raises(OSError, match="No space left"):
        build(trained_run, folder)
    assert read_folder(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_build_that_is_interrupted_as_it_takes_its_place_leaves_what_was_there(folder, tmp_path, monkeypatch):
    """Of a folder that is built onto itself there is no other copy."""

    def interrupted(source, target, replace=os.replace):
        if Path(target) == folder and Path(source).name == folder.name:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    before = read_folder(folder)
    with pytest.raises(KeyboardInterrupt):
        build(folder, folder, repo_id=NAME)
    assert read_folder(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("target", ["folder", "other"])
@pytest.mark.slow
def test_after_a_build_that_was_killed_as_it_took_its_place_the_next_puts_back_what_was_there(
    folder, tmp_path, target
):
    """Neither of its two moves was undone; the new folder may be there or not."""
    before = read_folder(folder)
    (tmp_path / ".folder.partial" / "new" / "folder").mkdir(parents=True)
    folder.rename(tmp_path / ".folder.partial" / "replaced")
    build(folder, tmp_path / target, repo_id=NAME)
    assert read_folder(folder) == read_folder(tmp_path / target) == before


def test_a_refused_build_puts_back_what_was_there_too(folder, tmp_path):
    before = read_folder(folder)
    (tmp_path / ".folder.partial").mkdir()
    folder.rename(tmp_path / ".folder.partial" / "replaced")
    with pytest.raises(ValueError, match="neither a complete run"):
        build(folder, folder, baseline=tmp_path / "nowhere")
    assert read_folder(folder) == before


@pytest.mark.slow
def test_a_folder_of_an_older_version_can_be_built_again(folder, tmp_path, published):
    """Its modules had other names; a file that none of them imports is somebody's own."""
    code = folder / "modeling_lgn.py"
    code.write_text(f"from .older import f\n{code.read_text()}")
    (folder / "older.py").write_text("from .oldest import f\n")
    (folder / "oldest.py").write_text("from .older import f\n")
    assert own_modules(folder) == own_modules(published) | {"older.py", "oldest.py"}
    build(folder, folder, repo_id=NAME)
    assert read_folder(folder) == read_folder(published)

    (folder / "handler.py").write_text("mine")
    with pytest.raises(
        ValueError, match=r"is a file: choose a folder|holds something else than earlier output of this command"
    ):
        build(published, folder)
    assert (folder / "handler.py").read_text() == "mine"


# Model folders and modules


@pytest.mark.slow
def test_a_model_folder_holds_what_a_repository_holds_but_no_python(published, tmp_path):
    folder = build(published, tmp_path / "folder", repo_id=NAME, modules=False)
    repository = read_folder(published)
    assert read_folder(folder) == {path: repository[path] for path in repository if not path.endswith(".py")}
    assert is_model_folder(folder)
    assert not is_repository(folder)
    assert is_repository(published)
    assert not is_model_folder(published)


@pytest.mark.slow
def test_a_repository_is_a_model_folder_and_the_modules_of_the_package(published, tmp_path):
    folder = build(published, tmp_path / "folder", repo_id=NAME, modules=False)
    made = build(folder, tmp_path / "made", repo_id=NAME)
    assert contents(made).keys() == contents(folder).keys() | {*remote_modules("lgn")}
    assert read_folder(made) == read_folder(published)
    for name in remote_modules("lgn"):
        assert (made / name).read_bytes() == (ROOT / "lgn_hf" / "model" / name).read_bytes()


MODULES = {f"{name}.py" for name in WHY}


def test_the_modules_that_travel_are_those_that_remote_code_needs(published):
    """Each has its reason in `WHY`."""
    assert {*remote_modules("lgn")} == MODULES
    assert own_modules(published) == MODULES
    assert {path for path in contents(published) if path.endswith(".py")} == MODULES


def test_they_are_what_transformers_copies_beside_a_model_that_it_saves(published, tmp_path):
    for kind in (LGNForImageClassification, LGNImageProcessor):
        loaded: Any = kind.from_pretrained(published)
        loaded.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.glob("*.py")} == {*remote_modules("lgn")}
