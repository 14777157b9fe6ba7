"""The models: codes, logits, reconstructions and losses against the papers' equations in plain numpy; gradients,
projection, initialisation, and what a model refuses."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from lgn_hf.model import unfolding
from lgn_hf.model.pooling import pooling_matrix
from lgn_hf.model.unfolding import fista_momentum
from tests.support import reference
from tests.support.networks import (
    ANSWER,
    HEADS,
    NETWORKS,
    check_gradients,
    make_config,
    make_images,
    make_labels,
    make_model,
    make_used_model,
)

EXACT = {"rtol": 0, "atol": 1e-10}
MODES = ["train", "eval"]
ONE_OF_EACH_KIND = ["learned", "learned-ista", "left", "rotation-60", "cyclic-leftover", "baseline"]


def in_mode(model, mode):
    return model.train(mode == "train")


def assert_equals(tensor, expected):
    assert tensor.shape == np.shape(expected)
    np.testing.assert_allclose(reference.numpy_of(tensor), expected, **EXACT)


def parameters_of(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


# Codes: equations 8 to 11


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_codes_are_those_of_equation_10(name, mode):
    model = in_mode(make_used_model(name, "base"), mode)
    images = make_images(model.config)
    expected = reference.codes(model, images)
    outputs = model(images, output_hidden_states=True)
    assert len(outputs.hidden_states) == model.config.num_layers
    for code, expected_code in zip(outputs.hidden_states, expected, strict=True):
        assert_equals(code, expected_code)
    assert_equals(outputs.last_hidden_state, expected[-1])
    assert 0.05 < (expected[-1] > 0).mean() < 0.95  # neither dead nor linear, or the test would say little


@pytest.mark.parametrize("size", [(9, 9), (7, 10), (12, 5)])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("filter_size", [2, 3, 4, 5])
def test_codes_for_any_image_filter_and_padding(filter_size, padding, size):
    model = make_used_model("learned", "base", filter_size=filter_size, padding=padding, num_layers=2).eval()
    images = make_images(model.config, batch=2, size=size)
    code = model(images).last_hidden_state
    assert code.shape[2:] == tuple(side + 2 * padding - filter_size + 1 for side in size)
    assert_equals(code, reference.codes(model, images)[-1])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_code_has_the_size_that_the_configuration_derives(name):
    config, model = NETWORKS[name], make_model(name, "base")
    assert model(make_images(config)).last_hidden_state.shape == (3, config.num_filters, *[config.code_size] * 2)


def test_momentum_of_fista():
    t = [1.0]
    for _ in range(4):
        t.append((1 + math.sqrt(1 + 4 * t[-1] ** 2)) / 2)
    np.testing.assert_allclose(fista_momentum(4), [(a - 1) / b for a, b in itertools.pairwise(t)], **EXACT)


def test_fista_descends_faster_than_ista():
    """On the lasso that a layer's dictionary defines, which tied layers without normalisation minimise."""
    fields = {"batch_norm": False, "tied": True, "num_layers": 8, "step_size": 0.02, "padding": 0}
    losses = {}
    for algorithm in ("ista", "fista"):
        model = make_model("baseline", "base", algorithm=algorithm, **fields)
        nn.init.constant_(model.threshold, 0.1)
        images = make_images(model.config)
        codes = model(images, output_hidden_states=True).hidden_states
        filters = model.filter_bank()[0].flatten(0, 1)
        losses[algorithm] = [
            (0.5 * (images - torch.conv_transpose2d(z, filters)).square().sum() + 0.1 * z.abs().sum()).item()
            for z in codes
        ]
    assert losses["ista"] == sorted(losses["ista"], reverse=True)
    assert losses["fista"][-1] < losses["ista"][-1]


@pytest.mark.parametrize("name", NETWORKS)
def test_batch_normalisation_stands_between_layers_alone(name):
    config = NETWORKS[name]
    norms = config.num_layers - 1 if config.batch_norm else 0
    assert len(make_model(name).base_model.norms) == norms
    assert not any(isinstance(module, nn.BatchNorm2d) for module in make_model(name, "reconstruction").modules())


# Heads


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_classification(name, mode):
    model = in_mode(make_used_model(name), mode)
    images, labels = make_images(model.config), make_labels(model.config)
    logits, penalty = reference.logits(model, images), reference.regularization(model)
    task_loss = reference.cross_entropy(logits, labels)
    outputs = model(images, labels=labels)
    assert_equals(outputs.logits, logits)
    assert_equals(outputs.task_loss, task_loss)
    assert_equals(outputs.regularization_loss, penalty)
    assert_equals(outputs.loss, task_loss + penalty if mode == "train" else task_loss)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_reconstruction(name, mode):
    model = in_mode(make_used_model(name, "reconstruction"), mode)
    images = make_images(model.config)
    reconstruction, penalty = reference.reconstruction(model, images), reference.regularization(model)
    task_loss = ((reconstruction - images.numpy()) ** 2).mean()
    outputs = model(images)
    assert_equals(outputs.reconstruction, reconstruction)
    assert_equals(outputs.task_loss, task_loss)
    assert_equals(outputs.regularization_loss, penalty)
    assert_equals(outputs.loss, task_loss + penalty if mode == "train" else task_loss)


@pytest.mark.parametrize("size", [(7, 7), (8, 11)])
@pytest.mark.parametrize("pool_size", [1, 2, 3, 4])
def test_adaptive_pooling(pool_size, size):
    model = make_used_model("learned", pool_size=pool_size, num_layers=1).eval()
    images = make_images(model.config, size=size)
    assert_equals(model(images).logits, reference.logits(model, images))


def test_reconstruction_for_any_image_size():
    model = make_used_model("learned-colour", "reconstruction").eval()
    images = make_images(model.config, size=(9, 6))
    assert_equals(model(images).reconstruction, reference.reconstruction(model, images))


def test_without_labels_there_is_no_loss():
    model = make_model("learned").eval()
    outputs = model(make_images(model.config))
    assert outputs.loss is None
    assert outputs.task_loss is None


@pytest.mark.parametrize("name", ["learned", "learned-tied"])
def test_a_free_decoder_has_a_dictionary_and_a_tied_one_has_none(name):
    config, model = NETWORKS[name], make_model(name, "reconstruction")
    names = dict(model.named_parameters())
    if config.decoder == "free":
        assert names["dictionary"].shape == (config.num_filters, config.num_channels, *[config.filter_size] * 2)
    else:
        assert "dictionary" not in names


def test_reconstruction_leaves_the_given_configuration_alone():
    config = make_config("learned")
    model = HEADS["reconstruction"](config)
    assert config.batch_norm
    assert not model.config.batch_norm
    assert {**model.config.to_dict(), "batch_norm": True} == config.to_dict()


# Outputs


@pytest.mark.parametrize("head", HEADS)
def test_tuples_hold_what_the_dataclass_holds(head):
    model = make_model("learned", head).eval()
    images = make_images(model.config)
    named = model(images, output_hidden_states=True)
    tuples = model(images, output_hidden_states=True, return_dict=False)
    assert isinstance(tuples, tuple)
    for one, other in zip(named.to_tuple(), tuples, strict=True):
        assert torch.equal(*map(torch.stack, (one, other))) if isinstance(one, tuple) else torch.equal(one, other)


@pytest.mark.parametrize("head", HEADS)
def test_hidden_states_come_when_asked_for(head):
    model = make_model("learned", head).eval()
    images = make_images(model.config)
    assert model(images).hidden_states is None
    assert len(model(images, output_hidden_states=True).hidden_states) == 3
    model.config.output_hidden_states = True
    assert len(model(images).hidden_states) == 3


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_does_not_see_its_batch_in_eval_mode(name, head):
    model = make_used_model(name, head).eval()
    images = make_images(model.config, batch=4)
    together = model(images)[ANSWER[head]]
    for i in range(4):
        torch.testing.assert_close(model(images[i : i + 1])[ANSWER[head]][0], together[i], **EXACT)


# Gradients


@pytest.mark.parametrize("head", ["classification", "reconstruction"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient_in_train_mode(name, head):
    model = make_used_model(name, head).train()
    labels = {"labels": make_labels(model.config)} if head == "classification" else {}
    model(make_images(model.config), **labels).loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("head", ["classification", "reconstruction"])
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_gradients_of_the_loss_are_those_of_finite_differences(name, head):
    model = make_used_model(name, head, num_layers=2, image_size=5, pool_size=1, regularizer_weight=0.1).train()
    images = make_images(model.config, batch=2)
    labels = {"labels": make_labels(model.config, batch=2)} if head == "classification" else {}
    for norm in model.base_model.norms:
        norm.track_running_stats = False  # or every evaluation would move them
    check_gradients(model, lambda: model(images, **labels).loss)


# Projection


@pytest.mark.parametrize("projection", ["frobenius", "rms", "none"])
@pytest.mark.parametrize("name", NETWORKS)
def test_projection(name, projection):
    model = make_used_model(name, projection=projection)
    config = model.config
    before, actions = parameters_of(model), model.group_actions().detach().clone()
    filters = model.base_filters().detach().clone()
    pointers = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}

    model.project_()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}

    scaled = config.action in ("learned", "left") and config.group_order > 1
    if projection == "none":
        assert moved == set()
    else:
        assert moved == ({"lgn.basis", "lgn.action.weight"} if scaled else {"lgn.basis"})
        unit = filters / torch.linalg.matrix_norm(filters, keepdim=True)
        torch.testing.assert_close(model.base_filters(), unit, **EXACT)
        if scaled:  # a left action's norm is that of its d x d matrix
            norm = 1 if projection == "frobenius" else math.sqrt(config.filter_dim)
            actions = norm * actions / torch.linalg.matrix_norm(actions, keepdim=True)
    torch.testing.assert_close(model.group_actions(), actions, **EXACT)
    assert {name: parameter.data_ptr() for name, parameter in model.named_parameters()} == pointers
    assert all(parameter.requires_grad for parameter in model.parameters())

    once = parameters_of(model)
    model.project_()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), once[name], rtol=0, atol=1e-14)


def test_root_mean_square_projection_means_singular_values_of_mean_square_one():
    model = make_used_model("left", projection="rms")
    model.project_()
    singular_values = torch.linalg.svdvals(model.group_actions())
    torch.testing.assert_close(singular_values.square().mean(-1), torch.ones(3, 2, 1).double(), **EXACT)


@pytest.mark.parametrize("head", HEADS)
def test_projection_works_from_every_head_and_between_optimiser_steps(head):
    model = make_used_model("learned", head)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    images = make_images(model.config)
    for _ in range(2):
        loss = model(images)[ANSWER[head]].square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.project_()
        norms = torch.linalg.matrix_norm(model.group_actions())
        torch.testing.assert_close(norms, torch.ones_like(norms), **EXACT)


def test_a_zero_filter_stays_zero():
    model = make_model("learned")
    with torch.no_grad():
        model.lgn.basis[0, 0].zero_()
    model.project_()
    assert model.base_filters().isfinite().all()
    assert model.base_filters()[0, 0].abs().max() == 0


# Initialisation


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NETWORKS)
def test_initial_values(name, head):
    model = make_model(name, head)
    drawn_in_float32 = {"rtol": 0, "atol": 1e-5}
    filters = [model.base_filters(), *(p for n, p in model.named_parameters() if n == "dictionary")]
    if model.config.action in ("learned", "left") and model.config.group_order > 1:
        filters.append(model.group_actions())
    for tensor in filters:
        norms = torch.linalg.matrix_norm(tensor)
        torch.testing.assert_close(norms, torch.ones_like(norms), **drawn_in_float32)
        assert abs(tensor.detach().mean()) < 4 * tensor.detach().std() / tensor.numel() ** 0.5  # Gaussian: mean 0
    assert (model.thresholds() == 1).all()
    for norm in model.base_model.norms:
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()
        assert (norm.running_mean == 0).all()
        assert (norm.running_var == 1).all()


def test_the_classifier_starts_as_torchs_linear_layers_do():
    classifier = make_model("learned", num_labels=50).classifier
    bound = classifier.in_features**-0.5
    assert classifier.bias.abs().max() <= bound
    assert 0.99 * bound < classifier.weight.abs().max() <= bound
    assert abs(classifier.weight.std() - bound / 3**0.5) < 0.05 * bound  # uniform


def test_seeds_decide():
    one, same, other = (make_model("learned", seed=seed).lgn.basis for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_train_and_eval_mode_have_the_same_state(name):
    """In evaluation as in training: the same names, and a forward pass in eval mode changes nothing."""
    model = make_used_model(name)
    trained = {key: tensor.clone() for key, tensor in model.train().state_dict().items()}
    model.eval()(make_images(model.config))
    evaluated = model.state_dict()
    assert trained.keys() == evaluated.keys()
    assert all(torch.equal(trained[key], evaluated[key]) for key in trained)


# What a model refuses


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("shape", "name"),
    [((2, 3, 7, 7), "learned"), ((2, 1, 7, 7), "learned-colour"), ((2, 7, 7), "learned"), ((7, 7), "learned")],
)
def test_images_of_another_shape_are_refused(shape, name, head):
    model = make_model(name, head)
    with pytest.raises(ValueError, match="pixel_values has shape") as error:
        model(torch.zeros(shape))
    assert str(shape) in str(error.value)
    assert f"(batch, {model.config.num_channels}, height, width)" in str(error.value)


@pytest.mark.parametrize(("padding", "least"), [(0, 3), (1, 1)])
def test_images_smaller_than_a_filter_are_refused(padding, least):
    model = make_model("learned", "base", padding=padding)
    model(torch.zeros(1, 1, least, 7))
    with pytest.raises(ValueError, match=f"at least {least} x {least}"):
        model(torch.zeros(1, 1, 7, least - 1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integer_pixels_are_refused(dtype):
    with pytest.raises(ValueError, match=str(dtype)):
        make_model("learned")(torch.zeros(1, 1, 7, 7, dtype=dtype))


# Other precisions


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_autocast(name, head, dtype):
    """Forward and backward run, stay finite, and land near the answer of full precision."""
    model = make_used_model(name, head).float().train()
    images = make_images(model.config).float()
    inputs = {"labels": make_labels(model.config)} if head == "classification" else {}
    key = ANSWER[head]
    expected = model(images, **inputs)[key]
    with torch.autocast("cpu", dtype):
        outputs = model(images, **inputs)
        loss = outputs[key].float().sum() if head == "base" else outputs.loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    torch.testing.assert_close(outputs[key].float(), expected, rtol=0, atol=0.1 * expected.abs().max().item())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_models_in_bfloat16(name, mode):
    model = in_mode(make_used_model(name).bfloat16(), mode)
    images = make_images(model.config)
    outputs = model(images, labels=make_labels(model.config))
    assert outputs.logits.dtype == torch.bfloat16
    assert outputs.loss.isfinite()
    expected = model.double()(images).logits
    torch.testing.assert_close(outputs.logits.double(), expected, rtol=0, atol=0.1 * expected.abs().max().item())


# Filter banks of models that no longer change


class TestKeptFilters:
    @pytest.fixture
    def model(self):
        return make_model("learned", head="base").eval()

    @pytest.fixture
    def builds(self, model, monkeypatch):
        """How often the filter bank was built."""
        count, build = [], model.filter_bank
        monkeypatch.setattr(model, "filter_bank", lambda: count.append(1) or build())
        return count

    @torch.no_grad()
    def test_they_are_built_once(self, model, builds):
        image = torch.randn(1, 1, 7, 7, dtype=torch.float64)
        codes = [model(image).last_hidden_state for _ in range(3)]
        assert len(builds) == 1
        assert torch.equal(codes[0], codes[2])

    @pytest.mark.parametrize("change", ["basis.data", "action.weight", "load_state_dict", "project_", "float"])
    @torch.no_grad()
    def test_they_follow_every_change_of_a_parameter(self, model, change):
        image = torch.randn(1, 1, 7, 7, dtype=torch.float64)
        model(image)
        if change == "basis.data":
            model.basis.data.mul_(2)
        elif change == "action.weight":
            model.action.weight.add_(0.1)
        elif change == "load_state_dict":
            model.load_state_dict(make_model("learned", head="base", seed=1).state_dict())
        elif change == "project_":
            model.basis.mul_(3)
            model(image)
            model.project_()
        else:
            model.float()
        torch.testing.assert_close(model.current_filters(), model.filter_bank().flatten(1, 2).to(model.dtype))

    def test_training_builds_them_at_every_step(self, model, builds):
        image = torch.randn(1, 1, 7, 7, dtype=torch.float64)
        for _ in range(2):
            model(image).last_hidden_state.sum().backward()
        assert len(builds) == 2
        assert model.basis.grad is not None

    def test_the_gradient_of_an_image_needs_none_of_the_filters(self, model, builds):
        model.requires_grad_(False)
        image = torch.randn(1, 1, 7, 7, dtype=torch.float64)
        with torch.inference_mode():
            model(image)
        model(image.requires_grad_()).last_hidden_state.sum().backward()
        assert image.grad.any()
        assert len(builds) == 1


def test_pooling_is_adaptive_average_pooling():
    codes = torch.randn(2, 3, 25, 11, dtype=torch.float64)
    for size in (1, 3, 4):
        pooled = codes.flatten(2) @ pooling_matrix((25, 11), size, codes)
        expected = torch.nn.functional.adaptive_avg_pool2d(codes, size).flatten(2)
        torch.testing.assert_close(pooled, expected)


def test_a_classifier_takes_images_of_any_size():
    model = make_model("learned").eval()
    for side in (7, 9, 7):
        codes = model.lgn(torch.randn(2, 1, side, side, dtype=torch.float64)).last_hidden_state
        expected = torch.nn.functional.adaptive_avg_pool2d(codes, 2).flatten(1)
        torch.testing.assert_close(model._pool(codes), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_through_torch_on_a_cpu_are_said_to_be_slow(dtype, monkeypatch):
    said = []
    monkeypatch.setattr(unfolding, "BACKENDS", {})
    unfolding._warn_of_slow_layers.cache_clear()
    monkeypatch.setattr(unfolding.logger, "warning", lambda text, *values: said.append(text % values))
    model = make_used_model("learned").eval()
    images = make_images(model.config)
    model(images)
    assert not said
    model.to(dtype)(images)
    assert [str(dtype) in line and "model.float()" in line for line in said] == [True]
