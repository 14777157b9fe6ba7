"""The compiled layers compute what `unfold` computes, as precisely, and step aside where they cannot."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lgn_hf import LGNConfig
from lgn_hf.cpu import autograd, planes
from lgn_hf.cpu.backend import suits, unfold_on_cpu
from lgn_hf.cpu.compilation import library
from lgn_hf.cpu.memory import Pool
from lgn_hf.model import unfolding
from lgn_hf.model.modeling_lgn import LGNModel
from lgn_hf.model.unfolding import BACKENDS, fista_momentum, register_backend, unfold
from tests.cpu.conftest import needs_compiler

pytestmark = needs_compiler

CASES = {
    "papers-mnist": {"channels": 1, "image": (28, 28), "filters": 20, "batch": 3},
    "papers-cifar10": {"channels": 3, "image": (32, 32), "filters": 20, "layers": 3, "batch": 2},
    "one-pixel-filters": {"filter": (1, 1), "padding": 0},
    "wide-filters": {"image": (14, 19), "filter": (5, 13), "padding": 3},
    "tall-filters": {"image": (17, 11), "filter": (9, 2), "padding": 0},
    "much-padding": {"image": (4, 5), "filter": (3, 3), "padding": 4},
    "one-filter": {"filters": 1},
    "many-filters": {"filters": 50, "image": (9, 9)},
    "very-wide-filters": {"image": (40, 60), "filter": (3, 37), "padding": 0},
    "very-tall-filters": {"image": (24, 150), "filter": (17, 3), "padding": 0},
    "seven-filters": {"filters": 7, "channels": 2},
    "one-layer": {"layers": 1},
    "no-momentum": {"momentum": 0.0, "layers": 4},
    "constant-momentum": {"momentum": 0.5, "layers": 4},
    "no-norms": {"norms": False, "layers": 4},
    "one-image": {"batch": 1},
}


def make_inputs(
    channels=3, image=(8, 9), filters=6, filter=(3, 3), layers=3, batch=5, padding=1, momentum=None, norms=True
):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = SimpleNamespace(
        images=draw(batch, channels, *image),
        filters=draw(layers, filters, channels, *filter) / 3,
        thresholds=draw(layers, filters),
        norms=nn.ModuleList(nn.BatchNorm2d(filters) for _ in range(layers - 1 if norms else 0)).double(),
        momentum=fista_momentum(layers) if momentum is None else [momentum] * layers,
        step_size=0.1,
        padding=padding,
    )
    for norm in inputs.norms:
        norm.weight.data.copy_(draw(filters))
        norm.bias.data.copy_(draw(filters))
        norm.running_mean.copy_(draw(filters))
        norm.running_var.copy_(draw(filters).square() + 0.1)
    return inputs


def leaves(inputs):
    tensors = {name: getattr(inputs, name) for name in ("images", "filters", "thresholds")}
    return {**tensors, **dict(inputs.norms.named_parameters())}


def run(function, inputs, *, dtype=torch.float64, training=True, all_codes=True):
    """Codes, gradients of a fixed function of them, and running statistics."""
    inputs = copy.deepcopy(inputs)
    for name in ("images", "filters", "thresholds"):
        setattr(inputs, name, getattr(inputs, name).to(dtype).requires_grad_())
    inputs.norms.to(dtype).train(training)
    codes = function(**vars(inputs))
    codes = codes if all_codes else codes[-1:]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(code.shape, generator=generator, dtype=torch.float64).to(dtype) for code in codes]
    sum((weight * code).sum() for weight, code in zip(weights, codes, strict=True)).backward()
    results = {f"z{i}": code.detach() for i, code in enumerate(codes)}
    results |= {f"d{name}": tensor.grad for name, tensor in leaves(inputs).items()}
    return results | {name: buffer.double() for name, buffer in inputs.norms.named_buffers()}


def error(results, exact):
    """The largest difference, relative to the tensor it is in."""
    assert results.keys() == exact.keys()
    return {k: float((results[k] - exact[k]).norm() / exact[k].norm().clamp_min(1e-12)) for k in exact}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_codes_gradients_and_statistics_are_those_of_unfold(case, training):
    inputs = make_inputs(**CASES[case])
    assert suits(inputs.images, inputs.filters, inputs.norms, inputs.padding)
    errors = error(run(unfold_on_cpu, inputs, training=training), run(unfold, inputs, training=training))
    assert max(errors.values()) < 1e-9, errors


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_single_precision_is_as_precise_as_that_of_unfold(case, training):
    inputs = make_inputs(**CASES[case])
    exact = run(unfold, inputs, training=training)
    ours, plain = (
        error(run(function, inputs, dtype=torch.float32, training=training), exact)
        for function in (unfold_on_cpu, unfold)
    )
    worse = {name: (ours[name], plain[name]) for name in exact if ours[name] > 4 * plain[name] + 2e-6}
    assert not worse


class PoisonedPlanes(autograd.Planes):
    """Fresh memory holds NaN."""

    def __init__(self, *args):
        super().__init__(*args)
        self.scratch.fill_(torch.nan)


class PoisonedPool(Pool):
    def empty(self, shape, dtype):
        return super().empty(shape, dtype).fill_(torch.nan)


def poison(monkeypatch):
    monkeypatch.setattr(autograd, "Planes", PoisonedPlanes)
    for module in (autograd, planes):
        monkeypatch.setattr(module, "pool", PoisonedPool(capacity=0))


def assert_only_written_memory_is_read(case, monkeypatch):
    plain = run(unfold_on_cpu, make_inputs(**CASES[case]), dtype=torch.float32)
    poison(monkeypatch)
    poisoned = run(unfold_on_cpu, make_inputs(**CASES[case]), dtype=torch.float32)
    for name, tensor in plain.items():
        assert torch.equal(poisoned[name], tensor), name


@pytest.mark.parametrize("case", CASES)
def test_memory_that_nobody_wrote_is_not_read(case, monkeypatch):
    assert_only_written_memory_is_read(case, monkeypatch)


def test_the_last_code_alone_has_the_same_gradients():
    inputs = make_inputs()
    last = run(lambda **kwargs: unfold_on_cpu(**kwargs, all_codes=False), inputs)
    exact = run(unfold, inputs, all_codes=False)
    assert max(error(last, exact).values()) < 1e-9


def test_a_layer_nobody_asks_gets_no_gradient_from_outside():
    inputs = make_inputs()
    gradients = []
    for function in (unfold_on_cpu, unfold):
        filters = inputs.filters.clone().requires_grad_()
        codes = function(**{**vars(inputs), "filters": filters})
        codes[0].square().sum().backward()
        gradients.append(filters.grad)
    torch.testing.assert_close(*gradients)
    assert not gradients[0][1:].any()


def test_frozen_norms_use_and_keep_their_statistics():
    inputs = make_inputs()
    exact = copy.deepcopy(inputs)
    for each in (inputs, exact):
        each.norms[0].eval()
    ours, plain = unfold_on_cpu(**vars(inputs)), unfold(**vars(exact))
    torch.testing.assert_close(ours[-1], plain[-1])
    for name, buffer in exact.norms.named_buffers():
        torch.testing.assert_close(inputs.norms.get_buffer(name), buffer)


def test_cumulative_running_statistics():
    inputs = make_inputs()
    exact = copy.deepcopy(inputs)
    for each, function in ((inputs, unfold_on_cpu), (exact, unfold)):
        for norm in each.norms:
            norm.momentum = None
        for scale in (1, 3):
            function(**{**vars(each), "images": scale * each.images})
    for name, buffer in exact.norms.named_buffers():
        torch.testing.assert_close(inputs.norms.get_buffer(name), buffer)


@pytest.mark.slow
def test_gradients_can_be_differentiated_again():
    inputs = make_inputs(channels=1, image=(4, 4), filters=2, layers=3, batch=2, filter=(2, 2))
    tensors = list(leaves(inputs).values())
    assert torch.autograd.gradgradcheck(
        lambda *_: unfold_on_cpu(**vars(inputs))[-1], [t.requires_grad_() for t in tensors], atol=1e-4
    )


def test_a_graph_can_be_walked_twice():
    inputs = make_inputs()
    filters = inputs.filters.clone().requires_grad_()
    loss = unfold_on_cpu(**{**vars(inputs), "filters": filters})[-1].square().sum()
    first, second = (torch.autograd.grad(loss, filters, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_results_do_not_depend_on_the_number_of_threads():
    inputs, before = make_inputs(batch=37), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(run(unfold_on_cpu, inputs))
    finally:
        torch.set_num_threads(before)
    assert max(error(results[0], run(unfold, inputs)).values()) < 1e-9
    for other in results[1:]:
        assert all(torch.equal(results[0][name], other[name]) for name in other)


def test_codes_are_the_same_without_a_gradient():
    inputs = make_inputs(layers=4)
    codes = unfold_on_cpu(**vars(inputs))[-1]
    assert codes.grad_fn is not None  # of the norms' parameters
    with torch.no_grad():
        assert torch.equal(unfold_on_cpu(**vars(inputs))[-1], codes)


@pytest.mark.parametrize("training", [True, False])
def test_not_a_number_stays_one(training):
    inputs = make_inputs()
    inputs.norms.train(training)
    inputs.images[0, 0, 4, 4] = torch.nan
    ours, plain = unfold_on_cpu(**vars(inputs))[-1], unfold(**vars(inputs))[-1]
    assert torch.equal(ours.isnan(), plain.isnan())
    assert ours.isnan().any()


def test_where_it_steps_aside():
    inputs = make_inputs()
    images, filters, norms = inputs.images, inputs.filters, inputs.norms
    assert suits(images, filters, norms, 1)
    assert not suits(images.bfloat16(), filters.bfloat16(), norms, 1)  # the norms are float64
    assert not suits(images.float(), filters.float(), norms, 1)  # the norms are float64
    assert not suits(images.to("meta"), filters, norms, 1)
    assert not suits(images[:0], filters, norms, 1)
    assert not suits(images, torch.zeros(3, 6, 3, 9, 9).double(), norms, 0)  # dense
    with torch.autocast("cpu", torch.bfloat16):
        assert not suits(images, filters, norms, 1)  # float64
    for other in (nn.SyncBatchNorm(6), nn.Identity(), nn.BatchNorm2d(6, affine=False)):
        assert not suits(images, filters, [norms[0], other.double()], 1)
    norms[0].register_forward_hook(lambda *_: None)
    assert not suits(images, filters, norms, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
def test_sixteen_bits_are_computed_in_float32(dtype, training):
    """Only what goes in, comes out and is kept is rounded."""
    inputs = make_inputs()
    for name in ("images", "filters", "thresholds"):
        setattr(inputs, name, getattr(inputs, name).to(dtype))
    inputs.norms.to(dtype)
    assert suits(inputs.images, inputs.filters, inputs.norms, inputs.padding)
    exact = run(unfold, inputs, dtype=torch.float64, training=training)
    found = run(unfold_on_cpu, inputs, dtype=dtype, training=training)
    assert all(tensor.dtype == dtype for name, tensor in found.items() if name[0] in "zd")
    errors = error({name: tensor.double() for name, tensor in found.items()}, exact)
    assert max(errors.values()) < 4 * torch.finfo(dtype).eps, errors


@pytest.mark.skipif(bool(library() and library().has_mixed()), reason="this processor has matrix units (AMX)")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_without_matrix_units_computes_in_float32(dtype):
    inputs = make_inputs()
    expected = run(unfold_on_cpu, inputs, dtype=torch.float32)
    with torch.autocast("cpu", dtype):
        assert suits(inputs.images.float(), inputs.filters.float(), copy.deepcopy(inputs.norms).float(), 1)
        found = run(unfold_on_cpu, inputs, dtype=torch.float32)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_functional_transforms_go_through_torch():
    model = LGNModel(LGNConfig(image_size=8, num_groups=2, step_size=0.1)).double().eval()
    image = torch.randn(1, 1, 8, 8, dtype=torch.float64)

    def code(pixels):
        return model(pixels).last_hidden_state.sum()

    image.requires_grad_()
    (expected,) = torch.autograd.grad(code(image), image)
    torch.testing.assert_close(torch.func.grad(code)(image.detach()), expected)


def test_registering_again_replaces(monkeypatch):
    """As when a notebook reloads the package."""
    monkeypatch.setattr(unfolding, "BACKENDS", dict(BACKENDS))
    assert list(unfolding.BACKENDS) == ["cpu"]
    register_backend("cpu", lambda *_: False, unfold)
    assert list(unfolding.BACKENDS) == ["cpu"]
    assert unfolding.BACKENDS["cpu"].unfold is unfold
