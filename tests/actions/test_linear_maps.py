"""What actions do to filters and images, beside the same written out."""

import itertools

import pytest
import torch

from lgn_hf import Actions
from lgn_hf.model.filters import rotation_matrix, unvec, vec
from tests.actions.random_actions import CHANNELS, GROUPS, LAYERS, ORDER, D, N, make_actions
from tests.support.networks import make_used_model


def test_powers():
    actions = make_actions()
    a = actions.matrices.double()
    for exponent, expected in {0: torch.eye(D).double().expand_as(a), 1: a, 2: a @ a, 6: (a @ a @ a) @ (a @ a @ a)}.items():  # fmt: skip
        torch.testing.assert_close(actions.power(exponent), expected)
    torch.testing.assert_close(actions.power(-1) @ a, torch.eye(D).double().expand_as(a))


def test_a_rotation_network_rotates_once_by_a_multiple_of_its_angle():
    actions = make_used_model("rotation-60").actions()
    for power in (1, 2, -1, 7):
        assert torch.equal(actions[0, 0, 0].power(power), rotation_matrix(4, 60 * power))
    assert not torch.allclose(actions[0, 0, 0].power(2), actions[0, 0, 0].power(1) @ actions[0, 0, 0].power(1))


def test_a_quarter_turn_of_filters_and_images():
    actions = Actions(rotation_matrix(N, 90).expand(1, 1, 1, D, D), 4)
    image = torch.randn(N, N, dtype=torch.float64)
    for power in range(-2, 6):
        turned = torch.rot90(image, power)[None, None, None]
        assert torch.equal(actions.apply(image, power), turned)
        assert torch.equal(actions.apply_to_image(image, power), turned)


def test_filters_broadcast_against_actions():
    actions = make_actions()
    basis = torch.randn(LAYERS, GROUPS, CHANNELS, N, N)
    for filters in (basis, basis[0, 0, 0], basis[0], torch.randn(5, 1, 1, 1, N, N)):
        moved = actions.apply(filters, 2)
        assert moved.dtype == torch.float64
        expected = torch.einsum("...ij,...j->...i", actions.power(2), vec(filters.double()))
        torch.testing.assert_close(moved, unvec(expected, N))
    for action in actions:
        own = basis[action.layer, action.group, action.channel]
        torch.testing.assert_close(action.apply(own), actions.apply(basis)[action.layer, action.group, action.channel])


@pytest.mark.parametrize("shape", [(7, 5), (CHANNELS, 7, 5), (N, N), (4, 1, 1, 1, 6, 6)])
def test_an_image_becomes_the_mean_of_its_moved_patches(shape):
    actions, image = make_actions(), torch.randn(shape)
    moved = actions.apply_to_image(image)
    height, width = shape[-2:]
    total, count = torch.zeros_like(moved), torch.zeros(height, width)
    for row, column in itertools.product(range(height - N + 1), range(width - N + 1)):
        patch = ..., slice(row, row + N), slice(column, column + N)
        total[patch] += actions.apply(image[patch])
        count[patch] += 1
    torch.testing.assert_close(moved, total / count)


def test_the_identity_leaves_an_image_alone():
    image = torch.randn(3, 8, 9, dtype=torch.float64)
    moved = make_actions()[0, 1, 1].apply_to_image(image, power=0)
    torch.testing.assert_close(moved, image)


def test_orbits_of_other_filters_and_powers():
    actions, filters = make_actions(), torch.randn(N, N)
    assert actions.orbit(filters).shape == (LAYERS, GROUPS, CHANNELS, ORDER, N, N)
    orbit = actions[1, 2, 0].orbit(filters, powers=[0, 5])
    torch.testing.assert_close(orbit, torch.stack([filters.double(), actions[1, 2, 0].apply(filters, 5)]))
    with pytest.raises(ValueError, match="basis"):
        actions.orbit()


@pytest.mark.parametrize("shape", [(4, 4), (3,), (5, N, N)])
def test_wrong_filters_are_an_error(shape):
    with pytest.raises(ValueError, match="filters") as error:
        make_actions().apply(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("shape", [(2, 9), (9,), (5, 9, 9)])
def test_wrong_images_are_an_error(shape):
    with pytest.raises(ValueError, match="image") as error:
        make_actions().apply_to_image(torch.zeros(shape))
    assert str(shape) in str(error.value)
