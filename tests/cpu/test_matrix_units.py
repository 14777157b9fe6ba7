"""Layers on matrix units (AMX): factors of products, and codes, are rounded to bfloat16. All else is float32.

Processors without the units run the same code on instructions that `emulated/immintrin.h` emulates.
"""

from pathlib import Path

import pytest
import torch

from lgn_hf import LGNConfig
from lgn_hf.cpu import compilation, planes
from lgn_hf.cpu.backend import suits, unfold_on_cpu
from lgn_hf.cpu.compilation import library
from lgn_hf.model import unfolding
from lgn_hf.model.modeling_lgn import LGNModel
from lgn_hf.model.unfolding import unfold
from tests.cpu.conftest import compile_layers, needs_compiler
from tests.cpu.test_unfolding import CASES, assert_only_written_memory_is_read, error, make_inputs, run

EMULATED = (
    "-march=native",
    "-D__AVX512F__",
    "-D__AVX512BF16__",
    "-D__AMX_BF16__",
    f"-I{Path(__file__).parent / 'emulated'}",
)
HAS_THEM = bool((functions := library()) and functions.has_mixed())

pytestmark = needs_compiler


class Emulated:
    """The compiled functions, which say that they have matrix units."""

    def __init__(self, functions):
        self.functions = functions

    def __getattr__(self, name):
        return (lambda: 1) if name == "has_mixed" else getattr(self.functions, name)


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[
        pytest.param("own", marks=pytest.mark.skipif(not HAS_THEM, reason="this processor has no matrix units (AMX)")),
        pytest.param(
            "emulated",
            marks=[pytest.mark.slow, pytest.mark.skipif(HAS_THEM, reason="this processor has matrix units (AMX)")],
        ),
    ],
)
def matrix_units(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        if request.param == "emulated":
            emulated = Emulated(compile_layers(tmp_path_factory.mktemp("layers"), *EMULATED))
            for module in (compilation, planes):
                patch.setattr(module, "library", lambda: emulated)
        yield


class Rounded(torch.autograd.Function):
    """A product, and its gradients, of factors rounded to bfloat16."""

    @staticmethod
    def forward(ctx, product, padding, *factors):
        ctx.product, ctx.padding = product, padding
        ctx.save_for_backward(*factors)
        return product(*(factor.bfloat16().double() for factor in factors), padding)

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            factors = [factor.bfloat16().double().requires_grad_() for factor in ctx.saved_tensors]
            product = ctx.product(*factors, ctx.padding)
        return None, None, *torch.autograd.grad(product, factors, gradient.bfloat16().double())


def rounded(product):
    def function(images, filters, padding, bias=None):
        result = Rounded.apply(product, padding, images, filters)
        return result if bias is None else result + bias[:, None, None]

    return function


class RoundedCode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, code):
        return code.bfloat16().to(code)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_products_are_those_of_rounded_factors(case, training, monkeypatch):
    inputs = make_inputs(**CASES[case])
    inputs.step_size = 0.125  # rounding commutes with powers of two
    found = run(unfold_on_cpu, inputs, dtype=torch.float32, training=training)
    plain = error(found, run(unfold, inputs, training=training))
    monkeypatch.setattr(unfolding, "analysis", rounded(unfolding.analysis))
    monkeypatch.setattr(unfolding, "synthesis", rounded(unfolding.synthesis))
    monkeypatch.setattr(unfolding.F, "relu", lambda codes: RoundedCode.apply(torch.relu(codes)))
    errors = error(found, run(unfold, inputs, training=training))
    # Numbers half way between two of bfloat16 may go either way, and gradients are stored in it, too.
    assert errors["z0"] < 3e-4 < 1e-3 < plain["z0"]
    assert max(errors.values()) < 0.1, errors


def test_a_network_uses_it():
    model = LGNModel(LGNConfig(image_size=8, num_groups=2, step_size=0.1))
    images = torch.randn(3, 1, 8, 8)
    assert suits(images, model.filter_bank().flatten(1, 2), model.norms, 1)
    code = model(images).last_hidden_state
    with torch.autocast("cpu", enabled=False):
        exact = model(images).last_hidden_state
    assert code.dtype == torch.float32
    assert 0 < (code - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("case", CASES)
def test_memory_that_nobody_wrote_is_not_read(case, monkeypatch):
    assert_only_written_memory_is_read(case, monkeypatch)
