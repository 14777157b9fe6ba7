"""LGNConfig: the vocabulary, its defaults, and what it refuses."""

import dataclasses
import json

import pytest
from transformers import AutoConfig

from lgn_hf import LGNConfig
from tests.support.networks import NETWORKS

DEFAULTS = {
    "image_size": 28,
    "num_channels": 1,
    "num_groups": 5,
    "group_order": 4,
    "num_layers": 4,
    "filter_size": 6,
    "padding": 1,
    "step_size": 0.01,
    "algorithm": "fista",
    "tied": False,
    "action": "learned",
    "action_sharing": "channel",
    "rotation_angle": None,
    "regularizer": "inverse",
    "regularizer_weight": 1e-3,
    "projection": "frobenius",
    "batch_norm": True,
    "pool_size": 4,
    "decoder": "free",
}

WHOLE_FROM_1 = ("image_size", "num_groups", "group_order", "num_layers", "filter_size", "pool_size")
CHOICES = {
    "algorithm": ("fista", "ista"),
    "action": ("learned", "rotation", "left", "cyclic"),
    "action_sharing": ("channel", "group", "layer", "network"),
    "regularizer": ("inverse", "nuclear", "logdet", "none"),
    "projection": ("frobenius", "rms", "none"),
    "decoder": ("free", "tied"),
}

WRONG_VALUES = [
    *((name, value) for name in WHOLE_FROM_1 for value in (0, -1, 2.0, "2", True, None)),
    *((name, value) for name in CHOICES for value in ("Ista", "", 1, True)),
    *((name, None) for name in CHOICES if name != "regularizer"),
    *(("num_channels", value) for value in (0, 2, 4, -1, "1", 1.0, True, None)),
    *(("padding", value) for value in (-1, 0.5, "1", True, None)),
    *(("step_size", value) for value in (0, -0.01, "0.01", True, None, float("nan"), float("inf"))),
    *(("regularizer_weight", value) for value in (-1e-3, "1e-3", True, float("nan"), float("inf"))),
    *(("rotation_angle", value) for value in (0, -90, "90", True, float("nan"), float("inf"))),
    *((name, value) for name in ("tied", "batch_norm") for value in (0, 1, "true", None)),
    *(("num_labels", value) for value in (0, -1, 2.5, "10", True)),
]

WRONG_GEOMETRY = {
    "filter larger than the padded image": (
        {"image_size": 5, "padding": 1, "filter_size": 8, "pool_size": 1},
        ["filter_size=8", "image_size=5", "padding=1", "at most", "7"],
    ),
    "pool larger than the code": (
        {"image_size": 8, "padding": 0, "filter_size": 6, "pool_size": 4},
        ["pool_size=4", "at most", "3"],
    ),
    "order of the wrong angle": (
        {"action": "rotation", "rotation_angle": 90, "group_order": 6},
        ["group_order=6", "rotation_angle=90", "360", "group_order=4"],
    ),
    "angle that does not divide the circle": (
        {"action": "rotation", "rotation_angle": 50, "group_order": 7},
        ["group_order=7", "rotation_angle=50", "360"],
    ),
    "cyclic order above the filter's dimension": (
        {"action": "cyclic", "filter_size": 2, "group_order": 5},
        ["group_order=5", "at most", "4"],
    ),
}


def test_defaults():
    config = LGNConfig()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


def test_every_field_has_a_default_above_and_help():
    help_texts = {f.name: f.metadata["help"] for f in dataclasses.fields(LGNConfig) if "help" in f.metadata}
    assert help_texts.keys() == DEFAULTS.keys()
    assert all(help_texts.values())


@pytest.mark.parametrize(
    ("action", "regularizer"), [("learned", "inverse"), ("left", "inverse"), ("cyclic", "none"), ("rotation", "none")]
)
def test_default_regularizer_of_an_action(action, regularizer):
    assert LGNConfig(action=action).regularizer == regularizer


@pytest.mark.parametrize(
    ("regularizer", "weight"), [("inverse", 1e-3), ("nuclear", 1e-2), ("logdet", 1e-3), ("none", 0)]
)
def test_default_weight_of_a_regularizer(regularizer, weight):
    assert LGNConfig(regularizer=regularizer).regularizer_weight == weight


def test_a_given_weight_stays():
    assert LGNConfig(regularizer="nuclear", regularizer_weight=0).regularizer_weight == 0


def test_the_rotation_angle_follows_from_the_order():
    assert LGNConfig(action="rotation", group_order=6).rotation_angle == 60


@pytest.mark.parametrize(("order", "angle"), [(4, 90), (6, 60.0), (7, 360 / 7), (1, 360)])
def test_matching_rotations_are_accepted(order, angle):
    assert LGNConfig(action="rotation", group_order=order, rotation_angle=angle).rotation_angle == angle


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_a_wrong_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=name) as error:
        LGNConfig(**{name: value})
    message = str(error.value)
    assert repr(value) in message
    for allowed in CHOICES.get(name, ()):
        assert allowed in message


@pytest.mark.parametrize("case", WRONG_GEOMETRY)
def test_wrong_geometry_is_named_with_what_is_allowed(case):
    fields, fragments = WRONG_GEOMETRY[case]
    with pytest.raises(ValueError, match=fragments[0]) as error:
        LGNConfig(**fields)
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("num_group", "num_groups"),
        ("groups_order", "group_order"),
        ("num_layer", "num_layers"),
        ("filtersize", "filter_size"),
        ("regulariser", "regularizer"),
        ("step_sise", "step_size"),
        ("num_label", "num_labels"),
    ],
)
def test_a_misspelt_field_is_refused(typo, meant):
    with pytest.raises(ValueError, match=typo) as error:
        LGNConfig(**{typo: 3})
    assert repr(meant) in str(error.value)


def test_fields_of_every_transformers_model_are_accepted():
    config = LGNConfig(num_labels=7, id2label={i: f"digit {i}" for i in range(7)}, problem_type=None)
    assert config.num_labels == 7
    assert config.id2label[3] == "digit 3"


@pytest.mark.parametrize(
    ("fields", "filters", "code"),
    [
        ({"image_size": 28, "filter_size": 6, "padding": 1}, 20, 25),
        ({"image_size": 32, "filter_size": 6, "padding": 0, "num_groups": 3, "group_order": 1}, 3, 27),
        ({"image_size": 8, "filter_size": 8, "padding": 0, "pool_size": 1, "group_order": 2}, 10, 1),
    ],
)
def test_derived_sizes(fields, filters, code):
    config = LGNConfig(**fields)
    assert (config.num_filters, config.code_size, config.filter_dim) == (filters, code, config.filter_size**2)


@pytest.mark.parametrize("name", NETWORKS)
def test_json_round_trip(name, tmp_path):
    config = NETWORKS[name]
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model_type"] == "lgn"
    for loaded in (LGNConfig.from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is LGNConfig
        assert {**loaded.to_dict(), "_name_or_path": ""} == config.to_dict()


def test_a_saved_configuration_states_every_field(tmp_path):
    LGNConfig().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert {name: saved[name] for name in DEFAULTS} == DEFAULTS


def test_a_wrong_value_in_a_file_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "lgn", "group_order": 0}))
    with pytest.raises(ValueError, match="group_order=0"):
        AutoConfig.from_pretrained(tmp_path)


def test_auto_config_builds_it():
    assert AutoConfig.for_model("lgn", group_order=2).num_filters == 10


def test_the_papers_names_are_aliases(tmp_path):
    config = LGNConfig(K=7, p=3, L=2)
    assert (config.num_groups, config.group_order, config.num_layers) == (config.K, config.p, config.L) == (7, 3, 2)
    config.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()).keys().isdisjoint("KpL")
    assert LGNConfig.from_pretrained(tmp_path, K=6).num_groups == 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"K": 0}, "num_groups=0: must be"), ({"p": 3, "group_order": 2}, "p=3 and group_order=2 are one field")],
)
def test_an_alias_is_checked_like_its_field(fields, message):
    with pytest.raises(ValueError, match=message):
        LGNConfig(**fields)
