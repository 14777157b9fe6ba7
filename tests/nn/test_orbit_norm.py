"""OrbitNorm2d against nn.BatchNorm2d on orbits laid out as one channel."""

import pytest
import torch
from torch import nn

from lgn_hf.nn import LinearGroup, OrbitNorm2d

GROUP = LinearGroup.rotations(3)


def as_channels(x):
    """(B, K|G|, H, W) to (B, K, |G| H, W)"""
    return x.unflatten(1, (-1, GROUP.order)).flatten(2, 3)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"affine": False}, {"momentum": None}, {"momentum": 0.3, "eps": 1e-3}, {"track_running_stats": False}],
    ids=str,
)
def test_an_orbit_is_one_channel(arguments, memory_format):
    torch.manual_seed(0)
    ours = OrbitNorm2d(12, GROUP, dtype=torch.float64, **arguments)
    plain = nn.BatchNorm2d(3, dtype=torch.float64, **arguments)
    if ours.weight is not None:
        with torch.no_grad():
            for mine, theirs in ((ours.weight, plain.weight), (ours.bias, plain.bias)):
                theirs.copy_(mine.normal_())
    for training in (True, True, False):
        ours.train(training), plain.train(training)
        x = torch.randn(4, 12, 5, 6, dtype=torch.float64).to(memory_format=memory_format)
        torch.testing.assert_close(as_channels(ours(x)), plain(as_channels(x)))
    assert set(ours.state_dict()) == set(plain.state_dict())
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


@pytest.mark.slow
@pytest.mark.parametrize("maps", [4, 8])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_gradients(memory_format, affine, maps):
    """Also gradients of gradients, and gradients in the parameters."""
    torch.manual_seed(0)
    ours = OrbitNorm2d(maps, GROUP, affine=affine, dtype=torch.float64)
    x = torch.randn(2, maps, 3, 2, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    inputs = (x, *(parameter.detach().normal_().requires_grad_() for parameter in ours.parameters()))
    names = [name for name, _ in ours.named_parameters()]

    def normalized(x, *parameters):
        return torch.func.functional_call(ours, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(normalized, inputs)
    assert torch.autograd.gradgradcheck(normalized, inputs)


def test_channels_last_is_as_accurate_in_float32():
    torch.manual_seed(0)
    ours, exact = OrbitNorm2d(8, GROUP), OrbitNorm2d(8, GROUP, dtype=torch.float64)
    x = (3 + torch.randn(64, 8, 28, 28)).to(memory_format=torch.channels_last).requires_grad_()
    y = ours(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    expected = exact(x.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.running_var.double(), exact.running_var, rtol=1e-6, atol=0)
    weights = torch.randn(y.shape)  # in another order of memory
    found, right = (torch.autograd.grad((out * weights.to(out)).sum(), x)[0] for out in (y, expected))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)


def test_reset():
    ours = OrbitNorm2d(8, GROUP)
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    ours(torch.randn(2, 8, 3, 3))
    ours.reset_parameters()
    assert all(torch.equal(value, start[name]) for name, value in ours.state_dict().items())


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"num_channels=6: must be a multiple of \|G\| = 4"):
        OrbitNorm2d(6, GROUP)
    with pytest.raises(ValueError, match=r"expected \(B, 8, H, W\), got \(1, 4, 3, 3\)"):
        OrbitNorm2d(8, GROUP)(torch.zeros(1, 4, 3, 3))
