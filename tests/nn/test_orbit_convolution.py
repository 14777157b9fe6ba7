"""Orbit convolutions: the filters written out in loops, the arguments of nn.Conv2d, and what is refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lgn_hf.model.filters import unvec, vec
from lgn_hf.nn import LinearGroup, OrbitConv1d, OrbitConv2d, OrbitConvTranspose2d

DOUBLE = {"dtype": torch.float64}
GROUPS = {
    "C_4": LinearGroup.rotations(3),
    "D_4": LinearGroup.dihedral(3),
    "C_8": LinearGroup.rotations(3, 8),
    "S_3": LinearGroup.regular(LinearGroup.dihedral(3, 3), 9),
}


def act(group, element, kernel):
    return unvec(group.elements[element] @ vec(kernel), kernel.shape[0])


@pytest.mark.parametrize("name", GROUPS)
def test_lifting_and_orbits(name):
    group = GROUPS[name]
    for kind in ("lifting", "orbits"):
        layer = OrbitConv2d(2, 3 * group.order, 3, group, kind, **DOUBLE)
        filters = layer.filters()
        assert filters.shape == (3 * group.order, 2, 3, 3)
        for k in range(3):
            for g in range(group.order):
                for c in range(2):
                    torch.testing.assert_close(filters[k * group.order + g, c], act(group, g, layer.weight[k, c]))


@pytest.mark.parametrize("name", GROUPS)
def test_regular(name):
    """F[(k, g), (j, h)] = rho(g) W[k, (j, g^-1 h)]"""
    group = GROUPS[name]
    order = group.order
    layer = OrbitConv2d(2 * order, 3 * order, 3, group, "regular", **DOUBLE)
    filters = layer.filters()
    for k in range(3):
        for g in range(order):
            for j in range(2):
                for h in range(order):
                    before = int(group.table[group.inverses[g], h])
                    expected = act(group, g, layer.weight[k, j * order + before])
                    torch.testing.assert_close(filters[k * order + g, j * order + h], expected)


def test_the_output_is_that_of_an_ordinary_convolution():
    group = GROUPS["D_4"]
    layer = OrbitConv2d(2, 16, 3, group, stride=2, padding=1, dilation=2, **DOUBLE)
    x = torch.randn(2, 2, 11, 11, **DOUBLE)
    bias = layer.bias.repeat_interleave(8)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.filters(), bias, stride=2, padding=1, dilation=2))
    free = OrbitConv2d(2, 16, 3, group, kind="orbits", **DOUBLE)
    assert (len(layer.bias), len(free.bias)) == (2, 16)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", ["lifting", "regular"])
def test_transposed_convolutions_are_adjoint_in_shape_and_equal_in_filters(kind, groups):
    """A transposed convolution has the filters of the convolution with the same basis, input and output swapped."""
    group = GROUPS["D_4"]
    channels = 4 if kind == "lifting" else 16
    up = OrbitConvTranspose2d(channels, 32, 3, group, kind, stride=2, padding=1, groups=groups, bias=False, **DOUBLE)
    down = OrbitConv2d(channels, 32, 3, group, kind, groups=groups, bias=False, **DOUBLE)
    with torch.no_grad():
        down.weight.copy_(up.weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1))
    expected = down.filters().unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(up.filters(), expected)
    x = torch.randn(1, channels, 5, 5, **DOUBLE)
    plain = nn.ConvTranspose2d(channels, 32, 3, stride=2, padding=1, groups=groups, bias=False, **DOUBLE)
    with torch.no_grad():
        plain.weight.copy_(up.filters())
    torch.testing.assert_close(up(x), plain(x))
    torch.testing.assert_close(up(x, output_size=(10, 10)), plain(x, output_size=(10, 10)))


def test_signals_of_one_dimension():
    mirror = LinearGroup.permutations([[4, 3, 2, 1, 0]])
    layer = OrbitConv1d(1, 4, 5, mirror, padding=2, **DOUBLE)
    x = torch.randn(1, 1, 20, **DOUBLE)
    answer, mirrored = layer(x).unflatten(1, (2, 2)), layer(x.flip(-1)).unflatten(1, (2, 2))
    torch.testing.assert_close(mirrored, answer.flip(-1).flip(2))


ARGUMENTS = [
    {},
    {"stride": 2},
    {"stride": (2, 1), "padding": (1, 2)},
    {"padding": "same"},
    {"padding": "valid"},
    {"dilation": 2, "padding": 2},
    {"groups": 2},
    {"groups": 4},
    {"bias": False},
    *({"padding": 1, "padding_mode": mode} for mode in ("zeros", "reflect", "replicate", "circular")),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("kind", ["lifting", "regular", "orbits"])
def test_it_takes_the_arguments_of_a_convolution(kind, arguments):
    group = LinearGroup.rotations(3)
    ours = OrbitConv2d(16, 32, 3, group, kind, **arguments)
    plain = nn.Conv2d(16, 32, 3, **arguments)
    x = torch.randn(2, 16, 9, 10)
    assert ours(x).shape == plain(x).shape
    with torch.no_grad():
        plain.weight = nn.Parameter(ours.filters())  # in their order of memory, too
        if plain.bias is not None:
            plain.bias.copy_(ours.full_bias())
    assert torch.equal(ours(x), plain(x))
    assert ours.weight.numel() * 4 == plain.weight.numel()


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_other_kernel_sizes(size):
    group = LinearGroup.rotations(3) if size == 1 else LinearGroup.rotations(size)
    layer = OrbitConv2d(4, 8, size, group, kind="regular")
    assert layer(torch.randn(1, 4, 9, 9)).shape == (1, 8, 10 - size, 10 - size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 10, 3), r"out_channels=10: must be a multiple of \|G\| = 4 for kind='lifting' and C_4"),
        ((3, 8, 3, "regular"), r"in_channels=3: must be a multiple of \|G\| = 4"),
        ((3, 8, 5), r"kernel_size=\(5, 5\): the group acts on filters of 9 pixels"),
        ((3, 8, 3, "lift"), "kind='lift': must be one of lifting, regular, orbits"),
        ((4, 4, 3, "lifting", 1, 0, 1, 2), "groups=2: must divide the 1 orbits of out_channels=4"),
        ((4, 8, 3, "regular", 1, 0, 1, 2), "groups=2: must divide the 1 orbits of in_channels=4"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    first, second, size, *rest = arguments
    with pytest.raises(ValueError, match=message):
        OrbitConv2d(first, second, size, LinearGroup.rotations(3), *rest)


def test_the_scale_of_new_filters_is_that_of_a_convolution():
    torch.manual_seed(0)
    for kind in ("lifting", "regular"):
        ours = OrbitConv2d(64, 64, 3, LinearGroup.rotations(3), kind)
        assert float((ours.filters().std() / nn.Conv2d(64, 64, 3).weight.std()).detach()) == pytest.approx(1, abs=0.05)


def test_every_basis_filter_gets_the_gradient_of_its_orbit():
    layer = OrbitConv2d(4, 8, 3, LinearGroup.rotations(3), kind="regular", **DOUBLE)
    x = torch.randn(1, 4, 6, 6, **DOUBLE)
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(layer, {"weight": weight}, (x,)), (layer.weight,)
    )
