"""Actions by themselves: what they do to filters and images, how they are sliced, saved and loaded, without the model."""

import itertools
import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

import lgn_hf
from lgn_hf import Action, Actions, load_actions
from lgn_hf.model.filters import rotation_matrix, unvec, vec
from tests.model.test_loading import run_python
from tests.support.networks import NETWORKS, make_used_model

N, D, ORDER = 3, 9, 4  # filters are N x N
LAYERS, GROUPS, CHANNELS = 2, 3, 2


def make_actions(*shape: int, order: int = ORDER, **options) -> Actions:
    return Actions(torch.randn(*(shape or (LAYERS, GROUPS, CHANNELS)), D, D), order, **options)


# From a model


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_gives_its_generators_and_their_orbits_are_its_filters(name):
    model = make_used_model(name)
    actions = model.actions()
    assert actions.matrices.dtype == torch.float32
    assert torch.equal(actions.matrices, model.group_actions().float())
    assert actions.order == model.config.group_order
    filters = model.filter_bank().transpose(2, 3)  # (L, K, C, p, n, m)
    torch.testing.assert_close(actions.orbit(), filters, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["learned-colour", "learned-shared"])
def test_each_action_has_the_basis_filters_of_its_channels(name):
    model = make_used_model(name)
    filters = model.base_filters().float()
    for action in model.actions():
        own = filters[action.layer, action.group]
        assert torch.equal(action.basis, own if name == "learned-shared" else own[action.channel])


def test_actions_stay_as_they_were_when_the_model_trains_on():
    model = make_used_model("learned").float()
    actions = model.actions()
    before = actions.matrices.clone(), actions.basis.clone()
    with torch.no_grad():
        model.lgn.action.weight.zero_(), model.lgn.basis.zero_()
    assert torch.equal(actions.matrices, before[0])
    assert torch.equal(actions.basis, before[1])


def test_actions_know_the_model_that_they_are_from(tmp_path):
    model = make_used_model("rotation-60").float()
    assert model.actions().name is None
    model.save_pretrained(tmp_path / "my-network")
    actions = type(model).from_pretrained(tmp_path / "my-network").actions()
    assert actions.name == "my-network"  # not the folders above it
    assert {
        "action": "rotation",
        "rotation_angle": 60,
        "group_order": 6,
        "tied": True,
    }.items() <= actions.config.items()


def test_a_model_that_diverged_has_no_actions():
    model = make_used_model("learned")
    with torch.no_grad():
        model.lgn.action.weight[0, 0, 0, 1, 2] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        model.actions()


# Powers, filters, images


def test_powers():
    actions = make_actions()
    a = actions.matrices.double()
    for exponent, expected in {0: torch.eye(D).double().expand_as(a), 1: a, 2: a @ a, 6: (a @ a @ a) @ (a @ a @ a)}.items():  # fmt: skip
        torch.testing.assert_close(actions.power(exponent), expected)
    torch.testing.assert_close(actions.power(-1) @ a, torch.eye(D).double().expand_as(a))


def test_a_rotation_network_rotates_once_by_a_multiple_of_its_angle():
    actions = make_used_model("rotation-60").actions()
    for power in (1, 2, -1, 7):
        assert torch.equal(actions[0, 0, 0].power(power), rotation_matrix(4, 60 * power))
    assert not torch.allclose(actions[0, 0, 0].power(2), actions[0, 0, 0].power(1) @ actions[0, 0, 0].power(1))


def test_a_quarter_turn_of_filters_and_images():
    actions = Actions(rotation_matrix(N, 90).expand(1, 1, 1, D, D), 4)
    image = torch.randn(N, N, dtype=torch.float64)
    for power in range(-2, 6):
        turned = torch.rot90(image, power)[None, None, None]
        assert torch.equal(actions.apply(image, power), turned)
        assert torch.equal(actions.apply_to_image(image, power), turned)


def test_filters_broadcast_against_actions():
    actions = make_actions()
    basis = torch.randn(LAYERS, GROUPS, CHANNELS, N, N)
    for filters in (basis, basis[0, 0, 0], basis[0], torch.randn(5, 1, 1, 1, N, N)):
        moved = actions.apply(filters, 2)
        assert moved.dtype == torch.float64
        expected = torch.einsum("...ij,...j->...i", actions.power(2), vec(filters.double()))
        torch.testing.assert_close(moved, unvec(expected, N))
    for action in actions:
        own = basis[action.layer, action.group, action.channel]
        torch.testing.assert_close(action.apply(own), actions.apply(basis)[action.layer, action.group, action.channel])


@pytest.mark.parametrize("shape", [(7, 5), (CHANNELS, 7, 5), (N, N), (4, 1, 1, 1, 6, 6)])
def test_an_image_becomes_the_mean_of_its_moved_patches(shape):
    actions, image = make_actions(), torch.randn(shape)
    moved = actions.apply_to_image(image)
    height, width = shape[-2:]
    total, count = torch.zeros_like(moved), torch.zeros(height, width)
    for row, column in itertools.product(range(height - N + 1), range(width - N + 1)):
        patch = ..., slice(row, row + N), slice(column, column + N)
        total[patch] += actions.apply(image[patch])
        count[patch] += 1
    torch.testing.assert_close(moved, total / count)


def test_the_identity_leaves_an_image_alone():
    image = torch.randn(3, 8, 9, dtype=torch.float64)
    moved = make_actions()[0, 1, 1].apply_to_image(image, power=0)
    torch.testing.assert_close(moved, image)


def test_orbits_of_other_filters_and_powers():
    actions, filters = make_actions(), torch.randn(N, N)
    assert actions.orbit(filters).shape == (LAYERS, GROUPS, CHANNELS, ORDER, N, N)
    orbit = actions[1, 2, 0].orbit(filters, powers=[0, 5])
    torch.testing.assert_close(orbit, torch.stack([filters.double(), actions[1, 2, 0].apply(filters, 5)]))
    with pytest.raises(ValueError, match="basis"):
        actions.orbit()


@pytest.mark.parametrize("shape", [(4, 4), (3,), (5, N, N)])
def test_wrong_filters_are_an_error(shape):
    with pytest.raises(ValueError, match="filters") as error:
        make_actions().apply(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("shape", [(2, 9), (9,), (5, 9, 9)])
def test_wrong_images_are_an_error(shape):
    with pytest.raises(ValueError, match="image") as error:
        make_actions().apply_to_image(torch.zeros(shape))
    assert str(shape) in str(error.value)


# Slices


def test_iteration_goes_layer_by_layer():
    actions = make_actions()
    found = list(actions)
    assert len(actions) == len(found) == LAYERS * GROUPS * CHANNELS
    positions = itertools.product(range(LAYERS), range(GROUPS), range(CHANNELS))
    assert [(a.layer, a.group, a.channel) for a in found] == list(positions)
    assert [a.key for a in found] == actions.keys
    assert found[-1].key == "layers.1.groups.2.channels.1"
    for action in found:
        assert torch.equal(action.matrix, actions.matrices[action.layer, action.group, action.channel])


@pytest.mark.parametrize(
    ("index", "layers", "groups", "channels"),
    [
        (1, [1], [0, 1, 2], [0, 1]),
        (-1, [1], [0, 1, 2], [0, 1]),
        ((0, 2), [0], [2], [0, 1]),
        ((slice(None), slice(1, None)), [0, 1], [1, 2], [0, 1]),
        ((slice(None), slice(None), 1), [0, 1], [0, 1, 2], [1]),
        ((slice(None, None, -1), slice(0, 3, 2), slice(1)), [1, 0], [0, 2], [0]),
    ],
)
def test_a_slice_keeps_the_numbers_of_its_actions(index, layers, groups, channels):
    actions = make_actions(basis=torch.randn(LAYERS, GROUPS, CHANNELS, N, N))
    part = actions[index]
    assert [(a.layer, a.group, a.channel) for a in part] == list(itertools.product(layers, groups, channels))
    for action in part:
        whole = actions[action.layer, action.group, action.channel]
        assert torch.equal(action.matrix, whole.matrix)
        assert torch.equal(action.basis, whole.basis)


def test_three_numbers_are_one_action():
    actions = make_actions()
    action = actions[1, 2, 0]
    assert isinstance(action, Action)
    assert action.matrix.shape == (D, D)
    assert (action.order, action.size) == (ORDER, N)
    assert actions[1, 2][0, 0, 0].key == actions[-1, -1, -2].key == action.key


@pytest.mark.parametrize("index", [2, -3, (0, 3), (0, 0, 2), (0, 0, 0, 0), slice(2, 2)])
def test_an_index_out_of_range_is_an_error(index):
    with pytest.raises(IndexError, match="actions have"):
        make_actions()[index]


@pytest.mark.parametrize(
    ("matrices", "options", "message"),
    [
        (torch.zeros(1, 1, 9, 9), {}, r"\(1, 1, 9, 9\)"),
        (torch.zeros(1, 1, 1, 8, 8), {}, "square"),
        (torch.zeros(1, 1, 1, 9, 4), {}, "square"),
        (torch.zeros(0, 1, 1, 9, 9), {}, r"\(0, "),
        (torch.full((1, 1, 1, 9, 9), torch.inf), {}, "not finite"),
        (torch.full((1, 1, 1, 9, 9), 1e300, dtype=torch.float64), {}, "not finite"),
        (torch.zeros(1, 1, 1, 9, 9), {"order": 0}, "order=0"),
        (torch.zeros(1, 1, 2, 9, 9), {"basis": torch.zeros(1, 1, 3, 3, 3)}, r"\(1, 1, 2, 3, 3\)"),
        (torch.zeros(1, 1, 1, 9, 9), {"basis": torch.zeros(1, 2, 3, 3, 3)}, r"\(1, 2, 3, 3, 3\)"),
        (torch.zeros(1, 1, 1, 9, 9), {"basis": torch.full((1, 1, 1, 3, 3), torch.nan)}, "basis filters"),
    ],
)
def test_what_is_no_set_of_actions_is_an_error(matrices, options, message):
    with pytest.raises(ValueError, match=message):
        Actions(matrices, **{"order": 4, **options})


# Diagnostics

SCORES = {
    "skew_symmetry", "toeplitz", "block_toeplitz", "circulant", "multi_scale", "block_concentration", "orthogonality", "cyclicity",
}  # fmt: skip
FIELDS = {
    "layer", "group", "channel", "key", "label", "scores", "condition_number", "log_abs_det", "eigenvalues", "singular_values", "nearest",
}  # fmt: skip


def test_each_action_has_a_record_and_a_row():
    actions = make_actions(1, 2, 1)
    actions.matrices[0, 1, 0] = rotation_matrix(N, 90)
    records, rows = actions.diagnose(), actions.table()
    assert [record["key"] for record in records] == actions.keys
    for record, row, action in zip(records, rows, actions, strict=True):
        assert record.keys() >= FIELDS
        assert record["scores"].keys() >= SCORES
        assert (row["layer"], row["group"], row["channel"]) == (action.layer, action.group, action.channel)
        assert {"value": row["toeplitz"], "z": row["toeplitz_z"]} == record["scores"]["toeplitz"]
        assert not any(isinstance(value, (dict, list)) for value in row.values())
    assert [row["nearest"] == "rotation" for row in rows] == [False, True]
    assert rows[1]["label"] == "rotation by 90 degrees"


def test_actions_are_diagnosed_once():
    actions = make_actions(2, 1, 1)
    records = actions.diagnose()
    assert actions.diagnose() is records
    assert actions[1].diagnose()[0] is records[1]
    assert [record["layer"] for record in actions[::-1].diagnose()] == [1, 0]


@pytest.mark.parametrize(
    ("name", "shared", "shape"),
    [
        ("learned-colour", (False, False, False), (2, 2, 3)),
        ("learned-shared", (False, False, True), (2, 2, 1)),
        ("learned-layer", (False, True, True), (2, 1, 1)),
        ("learned-network", (True, True, True), (1, 1, 1)),
        ("learned-tied", (True, False, False), (1, 2, 1)),
        ("rotation-90", (True, True, True), (1, 1, 1)),
    ],
)
def test_copies_of_an_action_are_known_as_such(name, shared, shape):
    actions = make_used_model(name).actions()
    assert actions.shared == shared
    assert actions.distinct().matrices.shape[:3] == shape
    assert torch.equal(actions.distinct().matrices.expand_as(actions.matrices), actions.matrices)


# Files


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Actions of a network, one of them singular, and the folder that they were saved in."""
    model = make_used_model("learned-colour", name_or_path="user/network")
    with torch.no_grad():
        model.lgn.action.weight[1, 1, 2] = 0
    folder = tmp_path_factory.mktemp("saved")
    actions = model.actions()
    actions.save(folder)
    return actions, folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the files, to damage."""
    for path in saved[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


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


# Damage


def assert_refused(folder, message: str, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error, match=message) as caught:
        load_actions(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["actions.safetensors", "actions.json"])
def test_a_missing_file_is_an_error(folder, name):
    (folder / name).unlink()
    assert_refused(folder, name, FileNotFoundError)


@pytest.mark.parametrize("name", ["actions.safetensors", "actions.json"])
@pytest.mark.parametrize("kept", [0, 7, 100, -1000])
def test_a_truncated_file_is_an_error(folder, name, kept):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:kept])
    assert_refused(folder, f"{name} is damaged or incomplete")


KEY = "layers.0.groups.1.channels.2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tensors: tensors.pop(KEY), f"lacks {KEY}"),
        (lambda tensors: tensors.clear(), "no action"),
        (lambda tensors: [tensors.pop(key) for key in [*tensors] if "layers.1" in key], "one record for each"),
        (lambda tensors: tensors.update({KEY: torch.zeros(4, 4)}), r"\(4, 4\)"),
        (lambda tensors: tensors.update({KEY: tensors[KEY].half()}), "float16"),
        (lambda tensors: tensors.update({key: tensors[key][:4] for key in tensors}), r"\(2, 2, 3, 4, 9\)"),
        (lambda tensors: tensors.update({key: torch.eye(4) for key in tensors}), "filter_size 3"),
        (lambda tensors: tensors[KEY].__setitem__((0, 0), torch.nan), "not finite"),
        (lambda tensors: tensors.update({"lgn.basis": torch.zeros(9, 9)}), "'lgn.basis'"),
        (lambda tensors: tensors.update({"../../../etc/passwd": torch.zeros(9, 9)}), "etc/passwd"),
        (lambda tensors: tensors.update({"layers.00.groups.1.channels.2": torch.zeros(9, 9)}), r"layers\.00"),
        (lambda tensors: tensors.update({KEY + "\n": torch.zeros(9, 9)}), r"channels\.2\\n"),
        (lambda tensors: tensors.update({f"layers.{'9' * 5000}.groups.0.channels.0": torch.zeros(9, 9)}), "99"),
        (lambda tensors: tensors.update({"layers.2.groups.0.channels.0": torch.zeros(9, 9)}), r"lacks layers\.2"),
    ],
)
def test_wrong_tensors_are_an_error(folder, damage, message):
    tensors = load_file(folder / "actions.safetensors")
    damage(tensors)
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(tensors, folder / "actions.safetensors")
    assert_refused(folder, message)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["format_version"], 2, "format_version 2"),
        (["model"], None, r"actions\.json\.model is None: must be dict"),
        (["model", "name"], ["a"], r"model\.name"),
        (["model", "config", "group_order"], "4", "group_order is '4': must be int"),
        (["model", "config", "group_order"], True, "group_order"),
        (["model", "config", "group_order"], -4, "order=-4"),
        (["model", "config", "filter_size"], 4, "filter_size 4"),
        (["model", "config", "image_size"], {"height": {}}, "image_size"),
        (["model", "config", "action"], "rotation", "rotation_angle is None"),
        (["actions"], {}, "must be list"),
        (["actions", 0], "layers.0", r"actions\[0\]"),
        (["actions", 0, "layer"], 0.0, r"actions\[0\]\.layer is 0\.0"),
        (["actions", 0, "layer"], 1, "one record for each"),
        (["actions", 0, "key"], "../../passwd", "one record for each"),
        (["actions", 0, "label"], 3, r"label is 3: must be str \| None"),
        (["actions", 0, "scores", "toeplitz"], 0.5, "toeplitz"),
        (["actions", 0, "scores", "toeplitz"], {"value": 0.5}, "toeplitz lacks z"),
        (["actions", 0, "eigenvalues", 3], [1.0], r"eigenvalues\[3\] has 1 items"),
        (["actions", 0, "singular_values"], ["a"], r"singular_values\[0\]"),
        (["actions", 0, "condition_number"], float("nan"), "NaN"),
        (["actions", 0, "condition_number"], float("inf"), "Infinity"),
        (["actions", 0, "condition_number"], 10**400, "no finite number"),
        (["actions", 0, "nearest", 0, "operation"], None, "operation"),
    ],
)
def test_wrong_records_are_an_error(folder, where, value, message):
    document = json.loads((folder / "actions.json").read_text())
    *path, last = where
    part = document
    for key in path:
        part = part[key]
    part[last] = value
    (folder / "actions.json").write_text(json.dumps(document))
    assert_refused(folder, message)


@pytest.mark.parametrize("change", [lambda records: records.pop(), lambda records: records.append(records[0])])
def test_records_that_are_missing_or_twice_are_an_error(folder, change):
    document = json.loads((folder / "actions.json").read_text())
    change(document["actions"])
    (folder / "actions.json").write_text(json.dumps(document))
    assert_refused(folder, "one record for each action")


@pytest.mark.parametrize("content", [b"[" * 10**6, b"\xff\xfe{}", b"[]", b"3", b'{"format_version": 1}', b"\x80\x04K\x01."])  # fmt: skip
def test_what_is_no_record_file_is_an_error(folder, content):
    (folder / "actions.json").write_bytes(content)
    assert_refused(folder, r"actions\.json")


def test_records_may_come_in_any_order_and_say_more(folder):
    whole = load_actions(folder).diagnose()
    document = json.loads((folder / "actions.json").read_text())
    document["actions"] = [{**record, "note": ["new"]} for record in reversed(document["actions"])]
    (folder / "actions.json").write_text(json.dumps({**document, "more": None}))
    assert load_actions(folder).diagnose() == [{**record, "note": ["new"]} for record in whole]


# The package


def test_every_public_name_is_found():
    assert set(lgn_hf.__all__) == set(lgn_hf._MODULES) <= set(dir(lgn_hf))
    for name in lgn_hf.__all__:
        assert getattr(lgn_hf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'LGNForPoetry'"):
        lgn_hf.LGNForPoetry  # noqa: B018


LOOK_THEN_LOAD = """
    import sys
    import lgn_hf
    from lgn_hf import load_actions
    actions = load_actions(sys.argv[2])
    assert actions[0, 1, 2].apply_to_image(actions.matrices[0, 0, 0]).shape == (9, 9)
    assert actions.table() and actions.diagnose()
    actions._records = None
    actions.diagnose()
    actions.save(sys.argv[1])
    assert "transformers" not in sys.modules

    from transformers import AutoConfig  # the first import is of no model
    assert type(AutoConfig.for_model("lgn")).__module__ == "lgn_hf.model.configuration_lgn"
    assert "lgn_hf.model.modeling_lgn" not in sys.modules
    from transformers import AutoImageProcessor, pipeline
    classifier = pipeline("image-classification", sys.argv[3])
    assert type(classifier.model) is lgn_hf.LGNForImageClassification
    assert type(classifier.image_processor) is lgn_hf.LGNImageProcessor
"""

IMPORT_MODEL_FIRST = """
    import sys
    from lgn_hf.model.modeling_lgn import LGNModel
    from transformers import AutoModel, AutoImageProcessor
    assert type(AutoModel.from_pretrained(sys.argv[3])) is LGNModel
    assert type(AutoImageProcessor.from_pretrained(sys.argv[3])).__module__ == "lgn_hf.model.image_processing_lgn"
"""

REMOTELY = """
    import sys
    sys.modules["lgn_hf"] = None  # even where it is installed
    from transformers import AutoModel
    actions = AutoModel.from_pretrained(sys.argv[3], trust_remote_code=True).actions()
    assert type(actions).__module__.startswith("transformers_modules")
    actions[0, 0].save(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [LOOK_THEN_LOAD, IMPORT_MODEL_FIRST, REMOTELY])
def test_a_fresh_process(script, saved, tmp_path):
    """Actions need no transformers; the Auto classes know the LGN whatever is imported first; remote code is complete."""
    model = make_used_model("learned").float()
    model.save_pretrained(tmp_path / "model")
    lgn_hf.LGNImageProcessor(size=7, num_channels=1).save_pretrained(tmp_path / "model")
    root = os.path.dirname(os.path.dirname(lgn_hf.__file__))
    environment = {"PYTHONPATH": root, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    run_python(script, tmp_path, saved[1], tmp_path / "model", **environment)
    assert script != REMOTELY or torch.equal(load_actions(tmp_path).matrices, model.actions()[0, 0].matrices)
