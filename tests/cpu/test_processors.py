"""The compiled layers on processors with narrower vectors than the newest: AVX2, and no AVX at all."""

import platform
from pathlib import Path

import pytest
import torch

from lgn_hf.cpu import planes
from lgn_hf.cpu.backend import unfold_on_cpu
from lgn_hf.model.unfolding import unfold
from tests.cpu.conftest import compile_layers, needs_compiler
from tests.cpu.test_unfolding import CASES, error, make_inputs, run

HAS_AVX512 = platform.machine() == "x86_64" and "avx512f" in Path("/proc/cpuinfo").read_text().split()

pytestmark = [
    needs_compiler,
    pytest.mark.slow,  # compiles
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the names of processors are those of x86-64"),
]


@pytest.fixture(
    scope="module",
    params=[
        "x86-64",
        pytest.param(
            "x86-64-v3",
            marks=pytest.mark.skipif(
                not HAS_AVX512, reason="without AVX-512, all tests take this path, or a narrower one"
            ),
        ),
    ],
)
def narrower(request, tmp_path_factory):
    """The compiled functions for an older processor."""
    functions = compile_layers(tmp_path_factory.mktemp("layers"), f"-march={request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "library", lambda: functions)
        yield request.param, functions


def test_vectors_are_narrower(narrower):
    processor, functions = narrower
    assert functions.lanes_float() == {"x86-64": 4, "x86-64-v3": 8}[processor]
    assert not functions.has_mixed()


@pytest.mark.parametrize("case", ["papers-mnist", "wide-filters", "seven-filters", "constant-momentum"])
def test_codes_gradients_and_statistics_are_those_of_unfold(case, narrower):
    inputs = make_inputs(**CASES[case])
    exact = run(unfold, inputs)
    assert max(error(run(unfold_on_cpu, inputs), exact).values()) < 1e-9
    single = error(run(unfold_on_cpu, inputs, dtype=torch.float32), exact)
    plain = error(run(unfold, inputs, dtype=torch.float32), exact)
    assert all(single[name] < 4 * plain[name] + 2e-6 for name in exact)
