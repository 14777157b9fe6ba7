"""What users of torch expect of a module: copies, compilation, export, autocast, casts, and many processes."""

import copy
import pickle
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from lgn_hf.model.convolutions import is_faster_in_float32
from lgn_hf.nn import LearnedGroup, LinearGroup, OrbitConv2d, OrbitNorm2d, OrbitPool2d, equivariance_error


def make(group=None):
    torch.manual_seed(0)
    group = group or LinearGroup.rotations(3)
    return nn.Sequential(
        OrbitConv2d(1, 8, 3, group, padding=1),
        OrbitNorm2d(8, group),
        nn.ReLU(),
        OrbitConv2d(8, 8, 3, group, kind="regular"),
        OrbitPool2d(group),
    )


X = torch.randn(2, 1, 8, 8)


def test_nothing_needs_transformers():
    code = "import sys, lgn_hf.nn; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_state_dict_in_training_and_evaluation():
    net = make()
    keys = list(net.state_dict())
    net.eval()
    with torch.no_grad():
        net(X)
    assert list(net.state_dict()) == keys
    assert not any("group" in key or "matrices" in key for key in keys)
    other = make(LinearGroup.rotations(3)).eval()
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(X), net(X))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
def test_copies(copied):
    net = make().eval()
    with torch.no_grad():
        expected = net(X)
        other = copied(net)
        assert torch.equal(other(X), expected)
        other[0].weight.zero_()
        assert torch.equal(net(X), expected)


def test_filters_are_kept_in_evaluation_until_a_parameter_changes():
    layer = OrbitConv2d(1, 8, 3, LinearGroup.rotations(3)).eval()
    with torch.no_grad():
        first = layer.filters()
        assert layer.filters() is first
        layer.weight.mul_(2)
        torch.testing.assert_close(layer.filters(), 2 * first)
        layer.load_state_dict(OrbitConv2d(1, 8, 3, LinearGroup.rotations(3)).state_dict())
        assert not torch.allclose(layer.filters(), 2 * first)
    assert layer.filters().requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(layer(X), layer(X))
    learned = OrbitConv2d(1, 8, 3, LearnedGroup(LinearGroup.cyclic(4, 9))).eval()
    with torch.no_grad():
        first = learned.filters()
        assert learned.filters() is first
        learned.group.basis.add_(0.1 * torch.randn(9, 9))
        assert not torch.allclose(learned.filters(), first)


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_compilation_without_a_graph_break(training):
    for group in (LinearGroup.rotations(3), LearnedGroup(LinearGroup.cyclic(4, 9))):
        net = make(group).train(training)
        expected = copy.deepcopy(net)(X)
        torch.testing.assert_close(
            torch.compile(net, fullgraph=True, backend="aot_eager")(X), expected, rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
def test_export():
    for group in (LinearGroup.rotations(3), LearnedGroup(LinearGroup.cyclic(4, 9))):
        net = make(group).eval()
        batch = torch.export.Dim("batch")
        exported = torch.export.export(net, (X,), dynamic_shapes=({0: batch},))
        x = torch.randn(5, 1, 8, 8)
        torch.testing.assert_close(exported.module()(x), net(x))


def test_autocast_does_not_round_the_orbits():
    net = make().eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert net[0](X).dtype == torch.bfloat16
        net[0]._filters = None
        assert torch.equal(net[0].filters(), copy.deepcopy(net[0]).float().filters())
    with torch.autocast("cpu", torch.bfloat16):
        net.train()(X).float().sum().backward()
    assert net[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_16_bits_are_convolved_in_float32_where_the_cpu_has_no_matrix_units(dtype, monkeypatch):
    """torch takes many times as long for them."""
    for name in ("_is_amx_tile_supported", "_is_amx_fp16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    layer = OrbitConv2d(2, 8, 3, LinearGroup.rotations(3), padding=1).to(dtype)
    images = torch.randn(2, 2, 5, 5).to(dtype)
    found = layer(images)
    wide = torch.nn.functional.conv2d(images.float(), layer.filters().float(), layer.full_bias().float(), padding=1)
    assert torch.equal(found, wide.to(dtype))
    found.float().sum().backward()
    assert layer.weight.grad.dtype == dtype
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert is_faster_in_float32(images) == (dtype == torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_faster_in_float32(images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_casts(dtype):
    net = make(LinearGroup.rotations(3, 8) if dtype == torch.float64 else None).half().to(dtype)
    assert net(X.to(dtype)).dtype == dtype
    if dtype == torch.float64:
        errors = equivariance_error(net, LinearGroup.rotations(3, 8), X.double())
        assert bool((errors[::2] < 1e-10).all())


def test_layers_made_without_memory():
    layer = OrbitConv2d(1, 8, 3, LinearGroup.rotations(3), device="meta")
    assert layer.weight.is_meta
    layer.to_empty(device="cpu")
    reference = OrbitConv2d(1, 8, 3, LinearGroup.rotations(3))
    layer.load_state_dict(reference.state_dict())
    assert torch.equal(layer(X), reference(X))


def test_a_group_is_not_moved_by_the_networks_that_use_it():
    group = LinearGroup.rotations(3)
    make(group).half()
    assert group.elements.dtype == torch.float64
    assert make(group)(X).dtype == torch.float32
