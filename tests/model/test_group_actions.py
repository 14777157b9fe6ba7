"""Group actions: generators, orbit operators and orbits of every kind, against the equations written out in loops."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from lgn_hf.model.configuration_lgn import LGNConfig
from lgn_hf.model.filters import rotation_matrix, unit_norm, unvec, vec
from lgn_hf.model.group_actions import ACTION_KINDS, IdentityAction, RotationAction, action_kind
from lgn_hf.model.regularizers import REGULARIZERS
from lgn_hf.nn import LinearGroup
from tests.support import reference
from tests.support.networks import CYCLIC, LEARNED, NETWORKS, check_gradients, make_model, make_used_model

EXACT = {"rtol": 0, "atol": 1e-10}
SIZES = [1, 2, 3, 5, 6, 8]


def actions_of(config):
    """(layer, group, channel of the action) of every action that the accessors return."""
    return np.ndindex(config.num_layers, config.num_groups, config.num_action_channels)


def test_vec_stacks_columns():
    filters = torch.arange(2 * 3 * 4.0).view(2, 3, 4)
    vectors = vec(filters)
    assert vectors.shape == (2, 12)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                assert vectors[b, j * 3 + i] == filters[b, i, j]


def test_unvec_undoes_vec():
    filters = torch.randn(2, 3, 4)
    assert torch.equal(unvec(vec(filters), rows=3), filters)


def test_unit_norm_keeps_the_direction_and_zero():
    matrices = torch.randn(2, 3, 3, dtype=torch.float64)
    matrices[1] = 0
    scaled = unit_norm(matrices, 2.5)
    torch.testing.assert_close(scaled[0] * matrices[0].norm() / 2.5, matrices[0], **EXACT)
    assert torch.equal(scaled[1], matrices[1])


# Kinds


KINDS = {**ACTION_KINDS, "identity": IdentityAction}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_declares_all_that_others_read(name):
    kind = KINDS[name]
    assert kind.name == name
    assert name == "identity" or kind.help in field_help("action")
    assert kind.default_regularizer in REGULARIZERS
    assert kind.is_fixed == (kind.num_parameters(3, 4) == 0)
    assert kind.card_text(3, 4).endswith(".")
    assert "\n" not in kind.card_text(3, 4)


def field_help(name):
    return next(field.metadata["help"] for field in dataclasses.fields(LGNConfig) if field.name == name)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_works_without_a_configuration(name):
    order = 1 if name == "identity" else 3
    action = KINDS[name](order, 4, (2, 3, 1)).double()
    action.reset_parameters()
    vectors = torch.randn(2, 3, 5, 16, dtype=torch.float64)
    assert action.generators(vectors).shape == (2, 3, 1, 16, 16)
    assert action.operators(vectors).shape == (2, 3, 1, order, 16, 16)
    expected = action.operators(vectors) @ vectors[..., None, :, None]
    torch.testing.assert_close(action.orbit(vectors), expected.squeeze(-1), **EXACT)
    assert sum(p.numel() for p in action.parameters()) == 2 * 3 * action.num_parameters(order, 4)


@pytest.mark.parametrize("name", ["cyclic", "rotation", "identity"])
def test_a_group_by_construction_is_one(name):
    kind, order = KINDS[name], 1 if name == "identity" else 4
    action = kind(order, 4).double()
    action.reset_parameters()
    assert kind.is_group_by_construction
    generator = action.generators(torch.zeros(0, dtype=torch.float64))[0, 0, 0]
    torch.testing.assert_close(torch.linalg.matrix_power(generator, order), torch.eye(16).double(), **EXACT)


@pytest.mark.parametrize("name", ["learned", "left"])
def test_other_kinds_promise_no_group(name):
    assert not KINDS[name].is_group_by_construction


@pytest.mark.parametrize("name", ACTION_KINDS)
def test_a_group_of_order_1_is_the_identity(name):
    assert action_kind(name, 1) is IdentityAction
    assert action_kind(name, 2) is ACTION_KINDS[name]
    assert LGNConfig(action=name, group_order=1).num_action_parameters == 0


@pytest.mark.parametrize(
    ("name", "order", "angle", "message"),
    [
        ("rotation", 6, 90, "group_order=6 does not match rotation_angle=90: .* so group_order=4"),
        ("cyclic", 17, None, "group_order=17: must be at most filter_size^2 = 16"),
    ],
)
def test_a_kind_refuses_an_order_that_it_cannot_have(name, order, angle, message):
    with pytest.raises(ValueError, match=message.replace("^", r"\^")):
        KINDS[name](order, 4, angle=angle)


def test_a_rotation_finds_its_angle():
    assert RotationAction(6, 4).angle == 60


# Shapes


@pytest.mark.parametrize("name", NETWORKS)
def test_accessors_return_every_layer_in_the_documented_shape(name):
    config, model = NETWORKS[name], make_model(name)
    L, K, C, p, n = (
        config.num_layers, config.num_groups, config.num_channels, config.group_order, config.filter_size
    )  # fmt: skip
    own = C if config.action_sharing == "channel" else 1
    assert model.base_filters().shape == (L, K, C, n, n)
    assert model.group_actions().shape == (L, K, own, n * n, n * n)
    assert model.orbit_operators().shape == (L, K, own, p, n * n, n * n)
    assert model.filter_bank().shape == (L, K, p, C, n, n)
    assert model.thresholds().shape == (L, K * p)


@pytest.mark.parametrize("name", [name for name, config in NETWORKS.items() if config.tied])
@pytest.mark.parametrize("accessor", ["base_filters", "group_actions", "orbit_operators", "filter_bank"])
def test_tied_layers_share_filters_and_actions(name, accessor):
    layers = getattr(make_model(name), accessor)()
    assert all(torch.equal(layer, layers[0]) for layer in layers)


@pytest.mark.parametrize("name", LEARNED)
def test_what_shares_no_action_has_one_of_its_own(name):
    config, actions = NETWORKS[name], make_model(name).group_actions()
    found = {}
    for place in actions_of(config):
        found.setdefault(reference.own_action(config, *place), set()).add(tuple(actions[place].flatten().tolist()))
    assert all(len(matrices) == 1 for matrices in found.values())
    assert len(set().union(*found.values())) == len(found)


@pytest.mark.parametrize("action", ["learned", "left", "cyclic"])
@pytest.mark.parametrize(
    ("sharing", "tied", "shape"),
    [
        ("channel", False, (3, 2, 3)),
        ("group", False, (3, 2, 1)),
        ("layer", False, (3, 1, 1)),
        ("network", False, (1, 1, 1)),
        ("channel", True, (1, 2, 3)),
        ("layer", True, (1, 1, 1)),
        ("network", True, (1, 1, 1)),
    ],
)
def test_a_shared_action_is_one_parameter(action, sharing, tied, shape):
    model = make_model("learned", action=action, action_sharing=sharing, tied=tied, num_channels=3)
    weight = model.base_model.action.weight
    assert weight.shape == (*shape, *([3, 3] if action == "left" else [9, 9]))
    assert model.config.num_action_parameters == weight.numel()
    assert model.group_actions().shape == (3, 2, shape[2], 9, 9)


@pytest.mark.parametrize("name", ["learned-layer", "learned-network", "left-layer", "cyclic-layer", "cyclic-network"])
def test_sharing_an_action_is_having_copies_of_it(name):
    """The same filters as of a network where each has its own, and as gradient the sum of theirs."""
    shared = make_used_model(name)
    copies = make_model(name, action_sharing="channel")
    weight, own = (model.base_model.action.weight for model in (shared, copies))
    with torch.no_grad():
        own.copy_(weight.expand_as(own))
        copies.base_model.basis.copy_(shared.base_model.basis)
    banks = [model.filter_bank() for model in (shared, copies)]
    torch.testing.assert_close(*banks, **EXACT)
    for bank in banks:
        (bank * torch.arange(bank.numel()).view_as(bank).sin()).sum().backward()
    torch.testing.assert_close(weight.grad, own.grad.sum_to_size(weight.shape), **EXACT)
    torch.testing.assert_close(shared.base_model.basis.grad, copies.base_model.basis.grad, **EXACT)


def test_tied_layers_make_sharing_by_the_network_sharing_by_the_layer():
    layer, network = (
        make_used_model("learned", tied=True, action_sharing=sharing) for sharing in ("layer", "network")
    )
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in layer.state_dict().items())
    assert torch.equal(layer.filter_bank(), network.filter_bank())
    assert torch.equal(layer.regularization_loss(), network.regularization_loss())


# Values: the model's einsums against loops


@pytest.mark.parametrize("name", NETWORKS)
def test_generators_are_the_matrices_of_the_papers(name):
    config, model = NETWORKS[name], make_used_model(name)
    actions = reference.numpy_of(model.group_actions())
    for layer, k, c in actions_of(config):
        if config.group_order == 1:
            np.testing.assert_array_equal(actions[layer, k, c], np.eye(config.filter_dim))
        np.testing.assert_allclose(actions[layer, k, c], reference.generator(model, layer, k, c), **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_orbit_operators_are_the_powers_of_the_generator(name):
    config, model = NETWORKS[name], make_used_model(name)
    operators = reference.numpy_of(model.orbit_operators())
    for layer, k, c in actions_of(config):
        np.testing.assert_allclose(operators[layer, k, c], reference.orbit_operators(model, layer, k, c), **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_filters_are_orbits_in_group_major_order(name):
    config, model = NETWORKS[name], make_used_model(name)
    bank = model.filter_bank()
    for layer in range(config.num_layers):
        expected = reference.layer_filters(model, layer)  # filter k*p + i is power i of group k
        np.testing.assert_allclose(reference.numpy_of(bank[layer].flatten(0, 1)), expected, **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_orbit_operators_map_basis_filters_to_the_filter_bank(name):
    config, model = NETWORKS[name], make_used_model(name)
    operators = model.orbit_operators().expand(-1, -1, config.num_channels, -1, -1, -1)
    images = torch.einsum("lkcpij,lkcj->lkpci", operators, vec(model.base_filters()))
    torch.testing.assert_close(unvec(images, config.filter_size), model.filter_bank(), **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_orbits_start_with_the_basis_filter(name):
    model = make_used_model(name)
    torch.testing.assert_close(model.filter_bank()[:, :, 0], model.base_filters(), **EXACT)


# Order 1


@pytest.mark.parametrize("action", ["learned", "rotation", "left", "cyclic"])
def test_a_group_of_order_one_is_the_identity_without_parameters(action):
    model = make_model("baseline", action=action)
    dim = model.config.filter_dim
    eye = torch.eye(dim, dtype=torch.float64)
    assert not list(model.base_model.action.parameters())
    assert torch.equal(model.group_actions(), eye.expand_as(model.group_actions()))
    assert torch.equal(model.orbit_operators(), eye.expand_as(model.orbit_operators()))
    assert torch.equal(model.filter_bank()[:, :, 0], model.base_filters())


# Cyclic


@pytest.mark.parametrize("name", CYCLIC)
@pytest.mark.parametrize("spread", [0, 0.1, 0.3])
def test_cyclic_actions_return_to_the_identity_wherever_training_takes_them(name, spread):
    model = make_model(name)
    weight = model.base_model.action.weight
    with torch.no_grad():
        weight.add_(spread * torch.randn_like(weight))
    powers = torch.linalg.matrix_power(model.group_actions(), model.config.group_order)
    torch.testing.assert_close(powers, torch.eye(powers.shape[-1]).to(powers).expand_as(powers), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CYCLIC)
def test_no_smaller_power_of_a_cyclic_action_is_the_identity(name):
    operators = make_used_model(name).orbit_operators()
    eye = torch.eye(operators.shape[-1]).to(operators)
    assert (operators[:, :, :, 1:] - eye).flatten(-2).norm(dim=-1).min() > 1


@pytest.mark.parametrize("name", CYCLIC)
def test_cyclic_actions_have_the_spectrum_of_the_permutation(name):
    """|det A| = 1 and all eigenvalues are p-th roots of unity."""
    model = make_used_model(name)
    eigenvalues = torch.linalg.eigvals(model.group_actions())
    powers = eigenvalues**model.config.group_order
    torch.testing.assert_close(powers, torch.ones_like(powers), rtol=0, atol=1e-8)


def test_cyclic_actions_start_near_the_permutation():
    """S starts as the identity plus a Gaussian matrix of unit norm."""
    model = make_model("cyclic")
    noise = model.base_model.action.weight - torch.eye(9)
    torch.testing.assert_close(torch.linalg.matrix_norm(noise), torch.ones(3, 2, 1).double(), rtol=0, atol=1e-5)


# Rotation


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quarters", [0, 1, 2, 3, 4, 5])
def test_quarter_turns_are_exact(size, quarters):
    filter_ = torch.randn(size, size, dtype=torch.float64)
    matrix = rotation_matrix(size, 90 * quarters)
    assert torch.equal(unvec(matrix @ vec(filter_), size), filter_.rot90(quarters))
    assert set(matrix.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("degrees", [30, 45, 60, 72, 123.4, 300])
def test_other_rotations_are_bilinear_with_zeros_outside(size, degrees):
    filter_ = np.random.default_rng(0).normal(size=(size, size))
    rotated = unvec(rotation_matrix(size, degrees) @ vec(torch.from_numpy(filter_)), size)
    expected = ndimage.rotate(filter_, degrees, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(rotated, expected, rtol=0, atol=1e-12)


def test_elements_are_rotations_by_multiples_of_the_angle_not_powers_of_one_step():
    """Interpolating twice by 60 degrees blurs more than once by 120."""
    operators = make_model("rotation-60").orbit_operators()[0, 0, 0]
    for i, operator in enumerate(operators):
        torch.testing.assert_close(operator, rotation_matrix(4, 60 * i), **EXACT)
    assert (operators[2] - operators[1] @ operators[1]).abs().max() > 0.01


@pytest.mark.parametrize("cast", ["built", "from half", "from bfloat16"])
def test_rotations_have_the_accuracy_of_the_model_after_any_cast(cast):
    """Casting up again leaves no rounding of the narrower type behind."""
    model = make_model("rotation-60")
    model = {"built": model, "from half": model.half(), "from bfloat16": model.bfloat16()}[cast].double()
    operators = model.orbit_operators()
    assert operators.dtype == torch.float64
    torch.testing.assert_close(operators[0, 0, 0, 1], rotation_matrix(4, 60), rtol=0, atol=1e-15)


@pytest.mark.parametrize("size", [15, 16, 28])
def test_large_rotations_are_sparse_products_with_the_same_orbits(size):
    action = RotationAction(6, size).double()
    vectors = torch.randn(4, 2, 1, size**2, dtype=torch.float64, requires_grad=True)
    orbits = action.orbit(vectors)
    expected = (action.operators(vectors) @ vectors[..., None, :, None]).squeeze(-1)
    torch.testing.assert_close(orbits, expected, **EXACT)
    weights = torch.randn_like(orbits)
    found, wanted = (torch.autograd.grad(images, vectors, weights)[0] for images in (orbits, expected))
    torch.testing.assert_close(found, wanted, **EXACT)
    torch.testing.assert_close(torch.func.vmap(action.orbit)(vectors), orbits, **EXACT)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        cast = action.to(dtype).orbit(vectors.to(dtype))
        assert cast.dtype == dtype
        torch.testing.assert_close(cast.double(), orbits, rtol=0, atol=tolerance)
    assert torch.equal(copy.deepcopy(action).orbit(vectors.float()), action.orbit(vectors.float()))


# Left


@pytest.mark.parametrize("name", ["left", "left-tied", "left-layer"])
def test_left_actions_multiply_the_filter_from_the_left(name):
    model = make_used_model(name)
    size = model.config.filter_size
    actions, weight = model.group_actions(), model.base_model.action.weight
    W = torch.randn(size, size, dtype=torch.float64)
    for layer, k, c in actions_of(model.config):
        image = unvec(actions[layer, k, c] @ vec(W), size)
        torch.testing.assert_close(image, weight[reference.own_action(model.config, layer, k, c)] @ W, **EXACT)


def corner_swap(size):
    """Proposition 1's operator on vec(W): the top left and the bottom right element change places."""
    matrix = torch.eye(size**2, dtype=torch.float64)
    return matrix[[size**2 - 1, *range(1, size**2 - 1), 0]]


def generators_with(model, weight):
    """One generator of a model whose first action has the given weights."""
    with torch.no_grad():
        model.base_model.action.weight[0, 0, 0] = weight
    return model.group_actions()[0, 0, 0].clone()


def test_no_left_action_swaps_two_corners():
    """Proposition 1: the nearest left action, by least squares over all its weights, is far from the swap."""
    model, size = make_model("left"), 3
    units = torch.eye(size**2, dtype=torch.float64).view(-1, size, size)
    span = torch.stack([generators_with(model, unit).flatten() for unit in units], dim=1)
    swap = corner_swap(size).flatten()
    residual = swap - span @ torch.linalg.lstsq(span, swap).solution
    assert residual.norm() > 1


def test_a_learned_action_swaps_two_corners():
    swap = generators_with(make_model("learned"), corner_swap(3))
    W = torch.randn(3, 3, dtype=torch.float64)
    expected = W.clone()
    expected[0, 0], expected[2, 2] = W[2, 2], W[0, 0]
    assert torch.equal(unvec(swap @ vec(W), 3), expected)


# Precision


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("accessor", ["group_actions", "orbit_operators", "filter_bank"])
def test_half_precision_models_build_orbits_in_float32(name, accessor):
    """As if the rounded parameters had been in float32 all along."""
    model = make_model(name).bfloat16()
    narrow = getattr(model, accessor)()
    wide = getattr(model.float(), accessor)()
    assert narrow.dtype == torch.float32
    assert torch.equal(narrow, wide)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("accessor", ["group_actions", "orbit_operators", "filter_bank"])
def test_autocast_leaves_orbits_alone(name, accessor):
    model = make_model(name).float()
    expected = getattr(model, accessor)()
    with torch.autocast("cpu", torch.bfloat16):
        inside = getattr(model, accessor)()
    assert torch.equal(inside, expected)


# Gradients


@pytest.mark.parametrize(
    "name", ["learned", "learned-layer", "left", "cyclic-leftover", "cyclic-layer", "rotation-60"]
)
@pytest.mark.parametrize("accessor", ["orbit_operators", "filter_bank"])
def test_gradients_of_orbits_are_those_of_finite_differences(name, accessor):
    model = make_used_model(name, num_layers=1)
    if model.base_model.action.is_fixed and accessor == "orbit_operators":
        assert not model.orbit_operators().requires_grad
    else:
        check_gradients(model, lambda: getattr(model, accessor)())


# A start at a given matrix


def test_cyclic_and_learned_actions_start_at_a_symmetry_that_was_found():
    """Rotation by 90 degrees in other coordinates, as a search on data finds it."""
    basis = torch.eye(25, dtype=torch.float64) + 0.05 * torch.randn(25, 25, dtype=torch.float64)
    found = basis @ rotation_matrix(5, 90.0).double() @ torch.linalg.inv(basis)
    for name in ("cyclic", "learned"):
        action = ACTION_KINDS[name](4, 5, (2, 3, 1)).double()
        action.reset_parameters()
        action.start_at(found)
        started = action.generators(found)
        torch.testing.assert_close(started, found.expand_as(started), rtol=0, atol=1e-6)
        assert action.orbit(torch.randn(2, 3, 1, 25, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "message"), [("rotation", "cannot start at a given"), ("cyclic", "its eigenvalues are")]
)
def test_an_action_that_cannot_be_the_given_matrix_says_so(name, message):
    """A mirror image of 5 x 5 pixels leaves five of them, a shift within blocks of two leaves one."""
    mirror = LinearGroup.reflections(5).generators[0]
    with pytest.raises(ValueError, match=message):
        ACTION_KINDS[name](2, 5).start_at(mirror)
