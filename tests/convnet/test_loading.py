"""What networks over a group are loaded from is checked as it is for the first family."""

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageClassification

from lgn_hf import (
    LGNConfig,
    LGNConvNetConfig,
    LGNConvNetForImageClassification,
    LGNConvNetModel,
    LGNForImageClassification,
    merge,
)
from lgn_hf.nn import LinearGroup, OrbitConv2d

STEM = "lgn_convnet.stem.weight"
TINY: dict[str, Any] = {"image_size": 8, "num_orbits": [2, 3], "depths": [1, 1], "num_labels": 4}


@pytest.fixture
def folder(tmp_path):
    LGNConvNetForImageClassification(LGNConvNetConfig(**TINY, group="dihedral")).save_pretrained(tmp_path)
    return tmp_path


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors[STEM].fill_(torch.nan), f"has weights of NaN or infinity: {STEM}"),
        (lambda tensors: tensors.pop(STEM), f"is not a complete .*Classification checkpoint: it lacks {STEM}"),
        (
            lambda tensors: tensors.update({"lgn_convnet.stages.1.1.conv1.weight": torch.zeros(2)}),
            r"has tensors that this .* would drop: lgn_convnet\.stages\.1\.1\.conv1\.weight",
        ),
    ],
)
def test_weights_that_are_not_those_of_the_network_are_refused(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(OSError, match=message):
        LGNConvNetForImageClassification.from_pretrained(folder)


def test_a_message_names_some_of_many_tensors(folder):
    with pytest.raises(OSError, match=r"it lacks (\S+, ){12}and 12 more$"):
        LGNConvNetForImageClassification.from_pretrained(folder, depths=[2, 2])


def test_only_a_head_is_drawn_anew(folder):
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        LGNConvNetForImageClassification.from_pretrained(folder, num_labels=3)
    model = LGNConvNetForImageClassification.from_pretrained(folder, num_labels=3, ignore_mismatched_sizes=True)
    assert (model.num_labels, model.classifier.out_features) == (3, 3)
    others: list[dict[str, Any]] = [{"num_orbits": [3, 3]}, {"group": "rotation"}]
    for fields in others:
        with pytest.raises(OSError, match=r"has tensors of other shapes than this .*draws a head anew, not an enc"):
            LGNConvNetForImageClassification.from_pretrained(folder, **fields, ignore_mismatched_sizes=True)


def test_a_classifier_starts_from_an_encoder(folder, tmp_path):
    LGNConvNetModel.from_pretrained(folder).save_pretrained(tmp_path / "encoder")
    with pytest.raises(OSError, match=r"classifier\.weight \(ignore_mismatched_sizes=True draws them anew"):
        LGNConvNetForImageClassification.from_pretrained(tmp_path / "encoder")
    options = {"num_labels": 3, "ignore_mismatched_sizes": True}
    model = LGNConvNetForImageClassification.from_pretrained(tmp_path / "encoder", **options)
    assert torch.equal(model.base_filters(), LGNConvNetForImageClassification.from_pretrained(folder).base_filters())


def test_a_learned_group_whose_basis_is_singular_is_refused(tmp_path):
    LGNConvNetForImageClassification(LGNConvNetConfig(**TINY, action="learned")).save_pretrained(tmp_path)
    change_weights(tmp_path, lambda tensors: tensors["lgn_convnet.action.basis"].zero_())
    with pytest.raises(OSError, match=r"has a singular action\.basis"):
        LGNConvNetForImageClassification.from_pretrained(tmp_path)


def test_another_kind_of_action_is_another_network(folder, tmp_path):
    with pytest.raises(OSError, match=r"it lacks lgn_convnet\.action\.basis"):
        LGNConvNetForImageClassification.from_pretrained(folder, action="learned")
    learned = tmp_path / "learned"
    LGNConvNetForImageClassification(LGNConvNetConfig(**TINY, action="learned")).save_pretrained(learned)
    with pytest.raises(OSError, match=r"would drop: lgn_convnet\.action\.basis"):
        LGNConvNetForImageClassification.from_pretrained(learned, action="fixed")


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        (
            [[[1.0, 0.0], [0.0, 1.0]]],
            r"group_generators has shape \(1, 2, 2\): must be \(number, d, d\) with d = .* 9",
        ),
        ([[[1.0, 0.0], [0.0]]], "group_generators: must be a list of matrices"),
        ([[[float("nan")] * 9] * 9], "generators hold numbers that are not finite"),
        (torch.eye(9)[None].mul(2).tolist(), "the generators do not close to a group"),
    ],
)
def test_a_wrong_group_in_the_configuration_is_refused(folder, generators, message):
    change_config(folder, group="given", group_generators=generators)
    with pytest.raises(ValueError, match=message):
        LGNConvNetForImageClassification.from_pretrained(folder)


def test_a_field_that_is_given_to_from_pretrained_counts(folder):
    """It used to change the configuration, and not the group."""
    config = LGNConvNetConfig.from_pretrained(folder, group="rotation", depths=2, num_orbits=[3])
    assert (config.linear_group.name, config.depths) == ("C_4", [2])
    group = LinearGroup.dihedral(3)
    model = AutoModelForImageClassification.from_pretrained(folder, group=group, dropout=0.5)
    assert (model.config.group, model.group.name, model.config.dropout) == ("given", "D_4", 0.5)
    assert LGNConvNetConfig.from_pretrained(folder, group=group).to_dict()["group"] == "given"
    with pytest.raises(ValueError, match="dropout=3: must be at least 0"):
        AutoConfig.from_pretrained(folder, dropout=3)


def test_a_field_that_is_changed_later_counts():
    config = LGNConvNetConfig()
    config.group = "dihedral"
    assert config.linear_group.name == "D_4"
    config.group = "helix"
    with pytest.raises(ValueError, match="group='helix': must be a LinearGroup or one of rotation"):
        _ = config.linear_group


def test_misspelt_fields_and_other_networks_are_refused(folder, tmp_path):
    misspelt: Any = {"num_orbit": [3]}
    with pytest.raises(ValueError, match="unknown field 'num_orbit': did you mean 'num_orbits'"):
        LGNConvNetConfig(**misspelt)
    with pytest.raises(ValueError, match="model_type='lgn_convnet': must be 'lgn'"):
        LGNForImageClassification.from_pretrained(folder)
    LGNConfig().save_pretrained(tmp_path / "lgn")
    with pytest.raises(ValueError, match="model_type='lgn': must be 'lgn_convnet'"):
        LGNConvNetForImageClassification.from_pretrained(tmp_path / "lgn")


def test_a_merged_network_is_not_saved_as_what_it_was(folder, tmp_path):
    merged: Any = merge(LGNConvNetForImageClassification.from_pretrained(folder))
    with pytest.raises(ValueError, match="use it before `merge`"):
        merged.actions()
    with pytest.raises(ValueError, match="use it before `merge`"):
        merged.save_pretrained(tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize(
    "fields",
    [{}, {"group": "dihedral", "depths": [1, 2], "num_channels": 3}, {"num_orbits": [4], "depths": [2]}],
)
def test_counts_of_the_configuration_are_those_of_the_network(fields):
    config = LGNConvNetConfig(**{**TINY, **fields})
    convolutions = [module for module in LGNConvNetModel(config).modules() if isinstance(module, OrbitConv2d)]
    assert config.num_basis_parameters == sum(module.weight.numel() for module in convolutions)
    assert config.num_layer_orbits == sum(module.out_channels // config.linear_group.order for module in convolutions)
    assert config.num_action_parameters == 0
    assert LGNConvNetConfig(action="learned").num_action_parameters == 81


@pytest.mark.parametrize("fields", [{"num_channels": 3}, {"group": "dihedral"}, {"action": "learned"}])
def test_the_elements_are_actions_on_the_filters_of_the_first_layer(fields, tmp_path):
    model = LGNConvNetModel(LGNConvNetConfig(**{**TINY, **fields})).eval()
    actions, order = model.actions(), model.group.order
    assert actions.matrices.shape == (1, order, 1, 9, 9)
    assert (actions.order, actions.config["group_name"]) == (order, model.group.name)
    torch.testing.assert_close(actions.matrices[0, :, 0], model.group_actions().float())
    torch.testing.assert_close(model.filter_bank().flatten(0, 1), model.stem.filters())
    actions.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"actions.safetensors", "actions.json"}
