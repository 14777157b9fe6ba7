"""Equivariance, measured on every kind of module, group, size, dtype, trained and untrained."""

import math

import pytest
import torch
from lgn_training.experiments.equivariance_errors import GROUPS
from torch import nn

from lgn_hf.nn import (
    LearnedGroup,
    LinearGroup,
    OrbitConv2d,
    OrbitConvTranspose2d,
    OrbitNorm2d,
    OrbitPool2d,
    equivariance_error,
)

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def network(group, size, dtype):
    order = group.order
    return nn.Sequential(
        OrbitConv2d(2, 2 * order, size, group, padding=size // 2),
        OrbitNorm2d(2 * order, group),
        nn.ReLU(),
        OrbitConv2d(2 * order, 3 * order, size, group, kind="regular", padding=size // 2),
        OrbitConv2d(3 * order, 2 * order, 1, group, kind="regular"),
        OrbitPool2d(group),
    ).to(dtype)


def train(net, steps=3):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    dtype = next(net.parameters()).dtype
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(4, 2, 8, 8, dtype=dtype)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("name", GROUPS)
def test_networks_before_and_after_training(name, size, dtype):
    torch.manual_seed(0)
    group = GROUPS[name](size)
    net = network(group, size, dtype)
    x = torch.randn(2, 2, 9, 10, dtype=dtype)
    for trained in (False, True):
        if trained:
            train(net)
        for mode in (True, False):
            net.train(mode)
            for part in (net, net[:1], net[:4], net[3:4], net[1:2], net[5:]):
                inputs = x if part[0] is net[0] else torch.randn(2, 4 * group.order, 9, 10, dtype=dtype)
                inputs = inputs[:, : 2 * group.order] if part[0] in (net[1], net[3], net[5]) else inputs
                assert bool((equivariance_error(part, group, inputs) < TOLERANCE[dtype]).all())


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 2, "padding": 1},
        {"stride": 3, "padding": 1, "dilation": 2},
        {"dilation": 3},
        {"groups": 2},
        *({"padding": 2, "padding_mode": mode} for mode in ("reflect", "replicate", "circular")),
    ],
    ids=str,
)
def test_strides_paddings_and_groups_that_keep_it(arguments):
    group = LinearGroup.dihedral(3)
    x = torch.randn(1, 32, 9, 9, dtype=torch.float64)
    if arguments.get("stride") == 3:
        x = x[..., :6, :6]  # 6 + 2 - 4 - 1 = 3
    for kind in ("lifting", "regular"):
        layer = OrbitConv2d(32, 32, 3, group, kind, dtype=torch.float64, **arguments)
        assert bool((equivariance_error(layer, group, x) < 1e-10).all())


def test_transposed_convolutions():
    group = LinearGroup.dihedral(3)
    for kind, channels in (("lifting", 3), ("regular", 16)):
        layer = OrbitConvTranspose2d(channels, 8, 3, group, kind, stride=2, padding=1, dtype=torch.float64)
        x = torch.randn(1, channels, 5, 6, dtype=torch.float64)
        assert bool((equivariance_error(layer, group, x) < 1e-10).all())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # what is tested
def test_a_stride_or_padding_that_breaks_it():
    group = LinearGroup.rotations(3)
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    strided = OrbitConv2d(1, 4, 3, group, stride=2, dtype=torch.float64)  # 8 - 3 is odd
    assert equivariance_error(strided, group, x)[1] > 0.1
    even = LinearGroup.rotations(4)
    one_sided = OrbitConv2d(1, 4, 4, even, padding="same", dtype=torch.float64)
    assert equivariance_error(one_sided, even, x)[1] > 0.1


def test_elements_that_are_no_symmetry_of_the_grid_are_nan():
    group = LinearGroup.rotations(3, 8)
    layer = OrbitConv2d(1, 8, 3, group, dtype=torch.float64)
    errors = equivariance_error(layer, group, torch.randn(1, 1, 8, 8, dtype=torch.float64))
    assert [math.isnan(error) for error in errors] == [False, True] * 4
    assert bool((errors[::2] < 1e-10).all())


def test_a_free_convolution_and_a_learned_group_are_not_equivariant():
    group = LinearGroup.rotations(3)
    x = torch.randn(1, 1, 8, 8)
    free = nn.Conv2d(1, 4, 3)
    assert equivariance_error(free, group, x, output="orbits")[1] > 0.1
    learned = OrbitConv2d(1, 4, 3, LearnedGroup(LinearGroup.cyclic(4, 9)))
    assert equivariance_error(learned, group, x)[1] > 0.1


def test_a_classifier_is_invariant():
    group = LinearGroup.dihedral(3)
    net = nn.Sequential(
        network(group, 3, torch.float64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5).double()
    )
    errors = equivariance_error(net, group, torch.randn(2, 2, 9, 9, dtype=torch.float64))
    assert errors.shape == (8,)
    assert bool((errors < 1e-10).all())


def test_unknown_words_are_refused():
    group = LinearGroup.rotations(3)
    with pytest.raises(ValueError, match="output='orbit': must be one of image, orbits, invariant"):
        equivariance_error(nn.Identity(), group, torch.zeros(1, 4, 5, 5), output="orbit")
