"""A fit finds the orbits that are in the weights."""

import pytest
import torch
from torch import nn

import lgn_hf
from lgn_hf.conversion import ConvertedConv2d
from lgn_hf.nn import LearnedGroup, LinearGroup
from tests.conversion.networks import planted


@pytest.mark.parametrize("kernel_size", [3, 4, 5])
@pytest.mark.parametrize(
    "make", [LinearGroup.rotations, LinearGroup.dihedral, lambda size: LinearGroup.rotations(size, 6)]
)
def test_planted_orbits_of_a_fixed_group_are_found(make, kernel_size):
    group = make(kernel_size)
    conv = planted(3, 10 * group.order, kernel_size, group)
    model = nn.Sequential(conv)
    images = torch.randn(1, 3, 9, 9)
    expected = model(images)
    report = lgn_hf.convert(model, action=group)
    assert report["0"].residual < 1e-4
    torch.testing.assert_close(model(images), expected)


def test_planted_orbits_of_a_group_that_is_not_orthogonal_are_found():
    basis = torch.eye(9) + 0.2 * torch.randn(9, 9, generator=torch.Generator().manual_seed(0))
    elements = basis.double() @ LinearGroup.rotations(3).elements @ torch.linalg.inv(basis.double())
    group = LinearGroup(elements)
    assert not group.is_orthogonal
    report = lgn_hf.convert(nn.Sequential(planted(4, 32, 3, group)), action=group)
    assert report["0"].residual < 1e-4


def test_a_wrong_group_leaves_a_residual():
    report = lgn_hf.convert(nn.Sequential(planted(3, 24, 3, LinearGroup.shifts(3))), action="rotation")
    assert report["0"].residual > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "channels", "filters", "kernel_size"), [(4, 3, 32, 3), (3, 8, 24, 4), (4, 16, 64, 5)]
)
def test_a_planted_cyclic_action_is_found_with_its_orbits(order, channels, filters, kernel_size):
    torch.manual_seed(1)
    action = LearnedGroup(LinearGroup.cyclic(order, kernel_size**2), noise=3.0).requires_grad_(False)
    conv = planted(channels, filters, kernel_size, action)
    report = lgn_hf.convert(nn.Sequential(conv), order=order)
    assert report["0"].residual < 1e-3


def test_planted_orbits_within_groups_and_across_depthwise_convolutions_are_found():
    group = LinearGroup.rotations(3)
    depthwise = planted(24, 24, 3, group, groups=24)
    assert lgn_hf.convert(nn.Sequential(depthwise), action="rotation")["0"].residual < 1e-4
    halves = [planted(4, 16, 3, group, seed=seed) for seed in (0, 1)]
    grouped = nn.Conv2d(8, 32, 3, groups=2)
    grouped.weight.data.copy_(torch.cat([half.weight for half in halves]))
    model = nn.Sequential(grouped)
    assert lgn_hf.convert(model, action="rotation")["0"].residual < 1e-4
    layer = model[0]
    assert isinstance(layer, ConvertedConv2d)
    assert bool((layer.output_order[:16] < 16).all())


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["filter", "channel"])
def test_more_actions_fit_better(sharing):
    def residual(**way) -> float:
        torch.manual_seed(0)
        return lgn_hf.convert(nn.Sequential(nn.Conv2d(4, 32, 3)), **way)["0"].residual

    assert residual(sharing=sharing) < residual(sharing="layer")
    assert residual(sharing="channel") < 1e-3  # any 4 independent slices of 9 pixels are an orbit
    assert residual(sharing=sharing, action="learned") < residual(sharing="layer", action="learned")


@pytest.mark.slow
def test_one_action_for_the_model_is_found_in_all_layers():
    torch.manual_seed(1)
    action = LearnedGroup(LinearGroup.cyclic(4, 9), noise=3.0).requires_grad_(False)
    model = nn.Sequential(planted(3, 16, 3, action), planted(16, 32, 3, action, seed=1))
    report = lgn_hf.convert(model, sharing="model")
    assert [row.residual < 1e-3 for row in report] == [True, True]


@pytest.mark.slow
def test_zero_weights_are_no_problem():
    conv = nn.Conv2d(3, 8, 3)
    nn.init.zeros_(conv.weight)
    for way in ({}, {"sharing": "filter"}, {"sharing": "channel"}, {"action": "learned"}, {"init": "draw"}):
        model = nn.Sequential(conv)
        lgn_hf.convert(model, **way)
        assert not model(torch.randn(1, 3, 5, 5)).isnan().any(), way
