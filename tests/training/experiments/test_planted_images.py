"""Planted actions have their order, and images are sums of their orbits."""

import pytest
import torch
from lgn_training.experiments.planted_images import LEAST, Setting, plant, planted_action

SYMMETRIES = [("rotation", 2), ("rotation", 4), ("shift", 4), ("corner_swap", 2), ("random", 3), ("random", 8)]


@pytest.mark.parametrize(("symmetry", "order"), SYMMETRIES)
def test_planted_actions_are_orthogonal_and_of_their_order(symmetry, order):
    action = planted_action(symmetry, order, torch.Generator().manual_seed(0))
    eye = torch.eye(16, dtype=torch.float64)
    torch.testing.assert_close(action @ action.T, eye)
    for power in range(1, order + 1):
        distance = (torch.linalg.matrix_power(action, power) - eye).norm()
        assert (distance < 1e-9) == (power == order)


def test_an_order_that_a_symmetry_lacks_is_refused():
    with pytest.raises(ValueError, match="group_order=3: rotation has order 2 or 4"):
        planted_action("rotation", 3, torch.Generator())
    with pytest.raises(ValueError, match="must be one of rotation, shift, corner_swap, random"):
        planted_action("mirror", 2, torch.Generator())


def test_planted_images_are_nonnegative_sums_of_orbits():
    setting = Setting(symmetry="rotation", num_groups=2, images=200)
    found = plant(setting, seed=0)
    torch.testing.assert_close(found.filters[:, 1], torch.rot90(found.filters[:, 0], dims=(-2, -1)))
    dictionary = found.filters.flatten(2).flatten(0, 1).T.double()  # (16, 8)
    codes = torch.linalg.lstsq(dictionary, found.images.flatten(1).T.double()).solution
    torch.testing.assert_close(dictionary @ codes, found.images.flatten(1).T.double(), atol=1e-5, rtol=0)
    active = codes > 1e-4
    assert codes.min() > -1e-4
    assert codes[active].min() > LEAST - 1e-3
    assert float(active.double().mean()) == pytest.approx(setting.rate, abs=0.03)


def test_noise_is_relative_to_the_clean_images():
    clean, noisy = (plant(Setting(noise=noise), seed=0).images for noise in (0.0, 0.5))
    assert float((noisy - clean).std() / clean.std()) == pytest.approx(0.5, rel=0.02)
