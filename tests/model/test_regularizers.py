"""Invertibility losses: equations 12 and 14 and appendix B, for one matrix and summed over a network."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from lgn_hf import LGNConfig, LGNModel
from lgn_hf.model import regularizers
from lgn_hf.model.regularizers import REGULARIZERS, inverse_loss, logdet_loss, nuclear_loss, polar_factor
from tests.support import reference
from tests.support.networks import LEARNED, NETWORKS, check_gradients, make_model, make_used_model

EXACT = {"rtol": 0, "atol": 1e-10}
LOSSES = ["inverse", "nuclear", "logdet"]
FAMILIES = ["learned", "learned-tied", "learned-colour", "learned-shared", "learned-layer", "learned-network"]
FAMILIES += ["left", "left-tied", "cyclic"]


def random_matrices(*batch, dim=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*batch, dim, dim, dtype=torch.float64, generator=generator)


# One matrix


def test_inverse_loss_is_the_frobenius_distance_of_the_product_from_the_identity():
    A, B = random_matrices(2, 3), random_matrices(2, 3).flip(0)
    losses = inverse_loss(A, B)
    assert losses.shape == (2, 3)
    for index in np.ndindex(2, 3):
        residual = A[index].numpy() @ B[index].numpy() - np.eye(4)
        np.testing.assert_allclose(losses[index], np.sqrt((residual**2).sum()), **EXACT)


def test_inverse_loss_vanishes_at_the_inverse_alone():
    A = random_matrices(5)
    assert inverse_loss(A, torch.linalg.inv(A)).max() < 1e-12
    assert inverse_loss(A, A).min() > 0.1


def test_nuclear_loss_is_minus_the_sum_of_singular_values():
    A = random_matrices(2, 3)
    expected = -np.linalg.svd(A.numpy(), compute_uv=False).sum(-1)
    np.testing.assert_allclose(nuclear_loss(A), expected, **EXACT)


def test_logdet_loss_is_minus_the_sum_of_log_singular_values():
    A = random_matrices(2, 3)
    expected = -np.log(np.linalg.svd(A.numpy(), compute_uv=False)).sum(-1)
    np.testing.assert_allclose(logdet_loss(A), expected, **EXACT)


def test_logdet_loss_is_infinite_at_a_singular_matrix():
    assert logdet_loss(torch.ones(3, 3)) == math.inf


@pytest.mark.parametrize(("loss", "count"), [(inverse_loss, 2), (nuclear_loss, 1), (logdet_loss, 1)])
def test_gradients_are_those_of_finite_differences(loss, count):
    matrices = [matrix.requires_grad_() for matrix in random_matrices(count, 2)]
    assert torch.autograd.gradcheck(loss, matrices)


@pytest.mark.parametrize(
    ("dtype", "smallest", "tolerance"), [(torch.float32, 1e-4, 1e-3), (torch.float64, 1e-9, 1e-6)]
)
def test_the_polar_factor_has_the_singular_vectors_and_no_values(dtype, smallest, tolerance):
    u, _, vh = torch.linalg.svd(random_matrices(3, 5, dim=12))
    matrices = u * torch.logspace(0, math.log10(smallest), 12, dtype=torch.float64) @ vh
    for scale in (1e-6, 1, 1e6):
        found = polar_factor((scale * matrices).to(dtype)).double()
        assert (found - u @ vh).abs().max() < tolerance


def test_no_singular_value_that_counts_is_missed():
    values = torch.logspace(-5, 0, 1001, dtype=torch.float32)
    for a, b, c in regularizers._TO_ONE:
        values = a * values + b * values**3 + c * values**5
    assert (values - 1).abs().max() < 2e-6


def test_the_polar_factor_of_zero_is_zero():
    assert not polar_factor(torch.zeros(2, 3, 3)).any()


def test_the_nuclear_loss_can_be_differentiated_twice_and_by_functional_transforms():
    A = random_matrices(2)
    assert torch.autograd.gradgradcheck(nuclear_loss, A.clone().requires_grad_())
    expected = torch.autograd.functional.jacobian(lambda a: nuclear_loss(a).sum(), A)
    torch.testing.assert_close(torch.func.grad(lambda a: nuclear_loss(a).sum())(A), expected)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(nuclear_loss))(A), expected)


# The registry


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_regularizer_declares_all_that_others_read(name):
    regularizer, actions = REGULARIZERS[name], random_matrices(2, 3)
    help_ = next(f.metadata["help"] for f in dataclasses.fields(LGNConfig) if f.name == "regularizer")
    assert regularizer.name == name
    assert f"{name} ({regularizer.help})" in help_
    assert LGNConfig(regularizer=name).regularizer_weight == regularizer.default_weight
    losses = regularizer(actions, torch.linalg.inv(actions) if regularizer.trains_inverses else None)
    assert losses.shape == (2, 3)
    assert (name == "none") == (regularizer.loss is None) == (regularizer.default_weight == 0)
    assert make_model("learned", regularizer=name).regularization_loss().isfinite()


def test_the_networks_here_cover_every_regularizer():
    assert {*LOSSES, "none"} == set(REGULARIZERS)


# A network: the weighted sum over layers, groups and channels


@pytest.mark.parametrize("regularizer", [*LOSSES, "none"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_sums_over_layers_groups_and_channels(name, regularizer):
    model = make_used_model(name, regularizer=regularizer, regularizer_weight=0.7)
    expected = reference.regularization(model)
    np.testing.assert_allclose(reference.numpy_of(model.regularization_loss()), expected, **EXACT)
    assert (expected == 0) == (regularizer == "none")


@pytest.mark.parametrize("regularizer", LOSSES)
def test_tied_actions_count_once_for_every_layer(regularizer):
    one = make_model("learned-tied", num_layers=1, regularizer=regularizer)
    three = make_model("learned-tied", num_layers=3, regularizer=regularizer)
    state = {key: tensor for key, tensor in one.state_dict().items() if "action" in key or "auxiliary" in key}
    with torch.no_grad():
        for key, tensor in state.items():
            three.get_parameter(key).copy_(tensor + 0.1)
            one.get_parameter(key).add_(0.1)
    torch.testing.assert_close(three.regularization_loss(), 3 * one.regularization_loss(), **EXACT)


@pytest.mark.parametrize("regularizer", LOSSES)
@pytest.mark.parametrize("sharing", ["group", "layer", "network"])
def test_shared_actions_count_once(sharing, regularizer):
    model = make_used_model("learned", action_sharing=sharing, num_channels=3, regularizer=regularizer)
    kept = reference.generator(model, 2, 1, 0)
    alone = make_used_model("learned", num_layers=1, num_groups=1, regularizer=regularizer)
    with torch.no_grad():
        for parameter in (model.lgn.action.weight, alone.lgn.action.weight):
            parameter.copy_(torch.from_numpy(kept))
        for inverses in (model.lgn.auxiliary_inverses, alone.lgn.auxiliary_inverses):
            if inverses is not None:
                inverses.copy_(torch.eye(9))
    count = {"group": 6, "layer": 3, "network": 1}[sharing]
    torch.testing.assert_close(model.regularization_loss(), count * alone.regularization_loss(), **EXACT)


@pytest.mark.parametrize("regularizer", LOSSES)
def test_the_weight_scales_the_loss(regularizer):
    one, four = (make_used_model("learned", regularizer=regularizer, regularizer_weight=mu) for mu in (0.5, 2))
    torch.testing.assert_close(4 * one.regularization_loss(), four.regularization_loss(), **EXACT)
    assert make_used_model("learned", regularizer=regularizer, regularizer_weight=0).regularization_loss() == 0


@pytest.mark.parametrize(
    "name", ["learned", "learned-tied", "learned-shared", "learned-layer", "learned-network", "left", "dense"]
)
def test_the_inverses_of_fresh_actions_start_as_gaussian_matrices_of_unit_norm(name):
    model = make_model(name)
    config = model.config
    inverses = model.base_model.auxiliary_inverses
    assert inverses.shape == (*config.action_shape, *[config.filter_dim] * 2)
    torch.testing.assert_close(
        torch.linalg.matrix_norm(inverses), torch.ones(config.action_shape).to(inverses), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_auxiliary_inverses_exist_where_they_are_trained_alone(name):
    config, model = NETWORKS[name], make_model(name)
    expected = name in LEARNED and config.regularizer == "inverse"
    assert any(key.endswith("auxiliary_inverses") for key, _ in model.named_parameters()) == expected


@pytest.mark.parametrize("regularizer", LOSSES)
@pytest.mark.parametrize("name", ["rotation-90", "rotation-60", "baseline"])
def test_fixed_actions_have_nothing_to_regularize(name, regularizer):
    model = make_model(name, regularizer=regularizer, regularizer_weight=1.0)
    loss = model.regularization_loss()
    assert loss.shape == ()
    assert loss == 0


@pytest.mark.parametrize("regularizer", LOSSES)
@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_every_action(name, regularizer):
    model = make_used_model(name, regularizer=regularizer, regularizer_weight=1.0)
    model.regularization_loss().backward()
    trained = [model.base_model.action.weight]
    if regularizer == "inverse":
        trained.append(model.base_model.auxiliary_inverses)
    for parameter in trained:
        # A cyclic action's |det A| is 1 whatever S is: its logdet is constant.
        constant = name == "cyclic" and regularizer == "logdet"
        norms = torch.linalg.matrix_norm(parameter.grad)
        assert norms.max() < 1e-10 if constant else norms.min() > 1e-6


@pytest.mark.parametrize("regularizer", LOSSES)
@pytest.mark.parametrize("name", ["learned", "learned-layer", "left-tied", "cyclic"])
def test_gradients_of_a_network_are_those_of_finite_differences(name, regularizer):
    model = make_used_model(name, num_layers=1, regularizer=regularizer, regularizer_weight=1.0)
    check_gradients(model, model.regularization_loss)


@pytest.mark.parametrize("regularizer", LOSSES)
def test_the_loss_is_computed_in_float32_at_least(regularizer):
    model = make_used_model("learned", regularizer=regularizer, regularizer_weight=1.0).bfloat16()
    narrow, wide = model.regularization_loss(), model.float().regularization_loss()
    assert narrow.dtype == torch.float32
    assert torch.equal(narrow, wide)


@pytest.mark.parametrize("action", ["learned", "left", "cyclic"])
def test_a_replica_of_data_parallel_is_regularized_too(action):
    """Its parameters are plain tensors, which `parameters()` does not list."""
    config = LGNConfig(image_size=8, num_groups=2, group_order=2, filter_size=3, action=action, regularizer="inverse")
    model = LGNModel(config)
    replica = copy.deepcopy(model)
    for module in replica.modules():
        for name, parameter in [*module._parameters.items()]:
            del module._parameters[name]
            setattr(module, name, None if parameter is None else parameter.detach())
    assert not list(replica.parameters())
    assert replica.regularization_loss().item() == pytest.approx(model.regularization_loss().item())
    assert replica.regularization_loss() > 0
