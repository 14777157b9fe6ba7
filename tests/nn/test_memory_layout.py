"""Orbit convolutions in the order of memory that is fast: the same numbers, and when."""

import pytest
import torch
from torch import nn

from lgn_hf.nn import LearnedGroup, LinearGroup, OrbitConv1d, OrbitConv2d, OrbitConvTranspose2d
from lgn_hf.nn.memory_layout import prefers_channels_last

GROUPS = {
    "C_4": LinearGroup.rotations(3),
    "D_4": LinearGroup.dihedral(3),
    "learned": LearnedGroup(LinearGroup.cyclic(4, 9), dtype=torch.float64),
}


def is_channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(("kind", "channels"), [("lifting", 1), ("lifting", 3), ("regular", 16)])
def test_both_orders_have_the_same_numbers(name, kind, channels, monkeypatch):
    """In float64, with gradients; also where one input map makes the order ambiguous."""
    torch.manual_seed(0)
    layer = OrbitConv2d(channels, 16, 3, GROUPS[name], kind, padding=1, dtype=torch.float64)
    images = torch.randn(2, channels, 6, 7, dtype=torch.float64, requires_grad=True)
    found = []
    for answer in (False, True):
        monkeypatch.setattr("lgn_hf.nn.orbit_convolution.prefers_channels_last", lambda *_, answer=answer: answer)
        maps = layer(images)
        assert is_channels_last(maps) == answer
        assert is_channels_last(layer.filters()) == (answer and channels > 1)
        found.append([layer.filters(), maps, *torch.autograd.grad(maps.square().sum(), (layer.weight, images))])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-12, atol=1e-12)


def test_float32_is_float64_to_rounding():
    torch.manual_seed(0)
    layer = OrbitConv2d(16, 16, 3, GROUPS["C_4"], "regular", padding=1)
    exact = OrbitConv2d(16, 16, 3, GROUPS["C_4"], "regular", padding=1, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    images = torch.randn(2, 16, 7, 7)
    maps = layer(images)
    assert is_channels_last(maps)
    assert not exact(images.double()).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(maps.double(), exact(images.double()), rtol=1e-5, atol=1e-5)


def test_where_it_was_measured_to_be_faster():
    small, large, largest = (torch.empty(4, 4, size, size) for size in (3, 5, 7))
    assert prefers_channels_last(small, 160, 1)
    assert prefers_channels_last(large, 80, 1)
    assert not prefers_channels_last(large, 64, 1)
    assert prefers_channels_last(largest, 40, 1)
    assert not prefers_channels_last(largest, 80, 1)
    assert not prefers_channels_last(small, 160, 2)
    assert not prefers_channels_last(torch.empty(4, 4, 1, 1), 40, 1)
    assert not prefers_channels_last(small.double(), 40, 1)
    assert not prefers_channels_last(small.to("meta"), 40, 1)
    answers = []
    torch.func.vmap(lambda x: (answers.append(prefers_channels_last(small, 40, 1)), x)[1])(torch.zeros(2))
    assert answers == [False]


def test_other_layers_keep_the_order_of_their_input():
    group = GROUPS["C_4"]
    images = torch.randn(2, 4, 8, 8)
    assert OrbitConv2d(4, 8, 3, group, "orbits")(images).is_contiguous()
    assert OrbitConvTranspose2d(4, 8, 3, group)(images).is_contiguous()
    assert OrbitConv1d(1, 4, 5, LinearGroup.permutations([[4, 3, 2, 1, 0]])).filters().is_contiguous()
    assert is_channels_last(OrbitConv2d(4, 8, 3, group, "orbits")(images.to(memory_format=torch.channels_last)))


def test_merged_filters_are_in_the_default_order():
    from lgn_hf import merge

    network = nn.Sequential(OrbitConv2d(3, 8, 3, GROUPS["C_4"]))
    expected = network(torch.ones(1, 3, 5, 5))
    assert merge(network)[0].weight.is_contiguous()
    torch.testing.assert_close(network(torch.ones(1, 3, 5, 5)), expected)
