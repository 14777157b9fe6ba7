"""From a run to a folder: it is whole and true, and nothing else is touched."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from lgn_training.arguments import parse_arguments
from safetensors.torch import load_file, save_file

from lgn_hf import load_actions
from lgn_hf.hub import publication
from lgn_hf.hub.publication import build, check, contents, is_built, own_modules, validate
from tests.conftest import NOTE, read_folder
from tests.conftest import PUBLISHED_AS as NAME


@pytest.fixture
def run(trained_run, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def change_json(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


# Building


def test_the_folder_has_everything_and_nothing_else(published, trained_run):
    names = set(contents(published))
    assert {*publication.BUILT_FILES, "modeling_lgn.py", "image_processing_lgn.py", "whitening.safetensors"} <= names
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
    monkeypatch.setattr(publication, "draw_figures", lambda actions, folder: [])
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
    ("recorded", "given", "published"),
    [
        ("digits", None, "digits"),
        ("ylecun/mnist", None, "ylecun/mnist"),
        ("ylecun/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("../data/mnist", None, "mnist"),
        ("/data/mnist/", None, "mnist"),
        ("~/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("rot-mnist:../data/mnist", None, "rot-mnist:mnist"),
        ("rot-mnist:../data/mnist", "ylecun/mnist", "rot-mnist:ylecun/mnist"),
        ("rot-mnist:../data/mnist", "rot-mnist:ylecun/mnist", "rot-mnist:ylecun/mnist"),
        ("rotated:../data/mnist", "ylecun/mnist", "rotated:ylecun/mnist"),
        ("data/mnist", None, "mnist"),
        ("rotated:data/mnist", "ylecun/mnist", "rotated:ylecun/mnist"),
        ("mnist", "ylecun/mnist", "ylecun/mnist"),
    ],
)
def test_data_have_a_name_that_means_something_elsewhere(recorded, given, published):
    assert publication._public_dataset(recorded, given) == published


def test_data_in_a_folder_that_is_there_are_known_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "images" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert publication._public_dataset("images/cats", None) == "cats"
    assert publication._public_dataset("images/cats", "user/cats") == "user/cats"


@pytest.mark.parametrize(
    ("recorded", "given", "message"),
    [
        ("uoft-cs/cifar10", "ylecun/mnist", "the run was trained on 'uoft-cs/cifar10'"),
        ("digits", "ylecun/mnist", "the run was trained on 'digits'"),
        ("../data/mnist", "../data/mnist", "must be the id of a data set on the Hub"),
        ("../data/mnist", "data/mnist", "must be the id of a data set on the Hub"),
        ("../data/mnist", "", "must be the id of a data set on the Hub"),
    ],
)
def test_data_cannot_be_renamed_to_others(recorded, given, message):
    with pytest.raises(ValueError, match=message):
        publication._public_dataset(recorded, given)


def damage(path: Path, how: str) -> None:
    """What can be wrong with a run, or with a built folder."""
    if how == "unfinished":
        (path / "all_results.json").unlink()
    elif how == "no weights":
        (path / "model.safetensors").unlink()
    elif how == "other config":
        change_json(path / "config.json", num_groups=3)
    elif how == "other recipe":
        recipe = yaml.safe_load((path / "recipe.yaml").read_text())
        (path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "filter_size": 5}))
    elif how == "other results":
        change_json(path / "all_results.json", parameters=7)
    elif how == "other processor":
        change_json(path / "preprocessor_config.json", size={"height": 9, "width": 9}, whitening="none")
    elif how == "other task":
        change_json(path / "config.json", architectures=["LGNModel"])
    elif how == "other weights":  # of the right shape
        tensors = load_file(path / "model.safetensors")
        tensors["lgn.action.weight"] *= 2
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    elif how == "NaN":
        tensors = load_file(path / "whitening.safetensors")
        next(iter(tensors.values())).view(-1)[0] = torch.nan
        save_file(tensors, path / "whitening.safetensors", metadata={"format": "pt"})
    elif how == "truncated":
        (path / "actions.safetensors").write_bytes((path / "actions.safetensors").read_bytes()[:50])
    elif how == "results are no JSON":
        (path / "all_results.json").write_text("{")
    elif how == "results are a list":
        (path / "all_results.json").write_text("[]")
    elif how == "extra file":
        (path / "notes.txt").write_text("mine")
    elif how == "link":
        (path / "figures/gallery.png").unlink()
        (path / "figures/gallery.png").symlink_to("spectra.png")
    elif how == "no figure":
        (path / "figures/gallery.png").unlink()


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
    with pytest.raises(ValueError, match="is not a folder made by publishing"):
        build(trained_run, target)
    assert before == (read_folder(target) if target.is_dir() else target.read_text())


def test_a_build_that_fails_leaves_what_was_there(trained_run, folder, tmp_path, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(publication, "draw_figures", lambda actions, folder: [])
    monkeypatch.setattr(publication, "write_card", full)
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
    with pytest.raises(ValueError, match="is not a folder made by publishing"):
        build(published, folder)
    assert (folder / "handler.py").read_text() == "mine"


# Validation


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", r"it lacks model\.safetensors"),
        ("other weights", r"actions\.safetensors does not hold the actions of model\.safetensors"),
        ("NaN", r"whitening\.safetensors holds numbers that are not finite"),
        ("truncated", r"actions\.safetensors is damaged"),
        ("extra file", "holds more than that"),
        ("link", r"figures/gallery\.png is a link"),
        ("no figure", r"README\.md points to figures/gallery\.png, which is not there"),
    ],
)
def test_a_folder_that_is_not_as_built_is_refused(folder, how, message):
    damage(folder, how)
    with pytest.raises(ValueError, match=message):
        check(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("license: ", "licence: ", "license"),
        ("pipeline_tag: image-classification", "pipeline_tag: image-guessing", "pipeline_tag"),
        ("library_name: transformers", "library_name: 3", "library_name"),
        ("tags:\n", "tags: lgn\nother:\n", "tags"),
        ("tags:\n", "datasets:\n- not/a/dataset\ntags:\n", "datasets"),
        ("model-index:", "model-indices:", "model-index"),
        ("      type: image-classification\n", "", "not valid"),
        ("---\n", "", "library_name, license, model-index, pipeline_tag"),
    ],
)
def test_a_card_that_the_hub_would_not_take_is_refused(folder, old, new, message):
    text = (folder / "README.md").read_text()
    assert old in text
    (folder / "README.md").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        check(folder)


@pytest.mark.slow
def test_the_folder_answers_alike_with_the_package_and_without(folder, caplog, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with caplog.at_level("INFO", "lgn_hf.hub.publication"):
        validate(folder)
    assert f"{len(contents(folder))} files, {sum(contents(folder).values()) / 1e6:.2f} MB" in caplog.text


@pytest.mark.slow
def test_a_folder_whose_own_code_answers_otherwise_is_refused(folder):
    code = folder / "image_processing_lgn.py"
    code.write_text(code.read_text().replace("images.float() / 255", "images.float() / 256"))
    with pytest.raises(ValueError, match="answers otherwise with its own code than with lgn_hf: pixels of an image"):
        validate(folder)
