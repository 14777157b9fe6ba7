"""Actions saved and loaded: every bit of every matrix, every record, each file in one piece."""

import itertools
import json
import os

import pytest
import torch
from safetensors.torch import load_file

from lgn_hf import load_actions
from tests.support.networks import make_used_model


def test_the_files_are_those_of_a_published_model(saved):
    actions, folder = saved
    assert {path.name for path in folder.iterdir()} == {"actions.safetensors", "actions.json"}
    tensors = load_file(folder / "actions.safetensors")
    assert tensors.keys() == {
        f"layers.{layer}.groups.{group}.channels.{channel}"
        for layer, group, channel in itertools.product(range(2), range(2), range(3))
    }
    for action in actions:
        assert tensors[action.key].dtype == torch.float32
        assert torch.equal(tensors[action.key], action.matrix)
    document = json.loads((folder / "actions.json").read_text(), parse_constant=pytest.fail)
    assert document.keys() == {"format_version", "model", "null", "actions"}
    assert document["model"]["name"] == "user/network"
    assert document["model"]["config"]["num_layers"] == 2
    assert document["actions"] == actions.diagnose()
    assert document["actions"][-1]["condition_number"] is None  # infinite


def test_what_is_loaded_is_what_was_saved(saved, tmp_path):
    actions, folder = saved
    loaded = load_actions(folder)
    assert torch.equal(loaded.matrices, actions.matrices)
    assert (loaded.order, loaded.name, loaded.config) == (actions.order, actions.name, actions.config)
    assert loaded.diagnose() == actions.diagnose()
    loaded.save(tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_some_of_the_actions_can_be_saved_too(saved, tmp_path):
    part = saved[0][::-1, 1, 1:]
    part.save(tmp_path)
    loaded = load_actions(tmp_path)
    assert loaded.keys == sorted(part.keys)
    for action in loaded:
        assert torch.equal(action.matrix, saved[0][action.layer, action.group, action.channel].matrix)


def test_a_saved_rotation_network_still_rotates(tmp_path):
    actions = make_used_model("rotation-60").actions()
    actions.save(tmp_path)
    loaded = load_actions(tmp_path)
    assert loaded.rotation_angle == 60
    assert loaded.order == actions.order
    assert torch.equal(loaded.power(2), actions.power(2))


@pytest.mark.parametrize("sharing", ["channel", "group"])
@pytest.mark.parametrize("fixed", [{"group_order": 1, "num_groups": 6}, {"action": "rotation"}])
def test_an_action_that_is_not_learned_is_saved_once(fixed, sharing, tmp_path):
    model = make_used_model("learned-colour", action_sharing=sharing, regularizer="none", **fixed)
    actions = model.actions()
    actions.save(tmp_path)
    assert list(load_file(tmp_path / "actions.safetensors")) == ["layers.0.groups.0.channels.0"]
    assert len(json.loads((tmp_path / "actions.json").read_text())["actions"]) == 1
    loaded = load_actions(tmp_path)
    assert loaded.keys == actions.keys
    assert torch.equal(loaded.matrices, actions.matrices)
    assert loaded.diagnose() == actions.diagnose()


@pytest.mark.parametrize("count", [0, "many", 10**9])
def test_so_it_must_say_how_many_filters_there_are(count, tmp_path):
    make_used_model("baseline").actions().save(tmp_path)
    document = json.loads((tmp_path / "actions.json").read_text())
    document["model"]["config"]["num_groups"] = count
    (tmp_path / "actions.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"{tmp_path}: num_layers, num_groups.*: must be whole numbers from 1 to"):
        load_actions(tmp_path)


def test_a_repository_is_read_from_the_cache_of_the_hub(saved, tmp_path, monkeypatch):
    repository, commit = tmp_path / "models--user--network", "0" * 40
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    for path in saved[1].iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert torch.equal(load_actions("user/network", revision="v1").matrices, saved[0].matrices)
    with pytest.raises(OSError, match="cache"):
        load_actions("user/network", revision="v2")


def test_a_save_that_is_cut_off_leaves_the_old_files(saved, folder, monkeypatch):
    def no_space(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        load_actions(folder)[:1].save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in saved[1].iterdir()
    }
