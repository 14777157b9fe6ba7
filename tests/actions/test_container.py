"""The set of actions: taken from a model, sliced, shared, diagnosed."""

import itertools

import pytest
import torch

from lgn_hf import Action, Actions
from lgn_hf.actions import SCORES
from lgn_hf.model.filters import rotation_matrix
from tests.actions.random_actions import CHANNELS, GROUPS, LAYERS, ORDER, D, N, make_actions
from tests.support.networks import NETWORKS, make_used_model

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
def test_wrong_arguments_are_an_error(matrices, options, message):
    with pytest.raises(ValueError, match=message):
        Actions(matrices, **{"order": 4, **options})


# Diagnostics

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
        assert record["scores"].keys() == SCORES.keys()
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
