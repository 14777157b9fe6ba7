"""The truth is recovered whole, untrained networks recover next to nothing."""

import pytest
import torch
from lgn_training.experiments.planted_images import Planted, Setting, plant
from lgn_training.experiments.planted_symmetry import make_network, start_at
from lgn_training.experiments.symmetry_recovery import orbit_agreement, recovery, unexplained


@pytest.mark.parametrize("setting", [Setting(), Setting("shift", 2, 4, 3)])
def test_the_truth_is_recovered_whole(setting):
    truth = plant(setting, seed=0)
    network = make_network(setting, "learned", "inverse")
    start_at(network, truth)
    assert recovery(network, truth) == pytest.approx(dict.fromkeys(recovery(network, truth), 1.0))
    assert unexplained(network, truth.images) < 0.2  # held thresholds shorten the codes


def test_scale_another_generator_and_another_first_filter_do_not_count():
    setting = Setting(group_order=8, num_groups=2)
    truth = plant(setting, seed=0)
    network = make_network(setting, "learned", "none")
    cubed = torch.linalg.matrix_power(truth.generator, 3)  # generates the same group of order 8
    start_at(network, Planted(0.7 * cubed, truth.filters.roll(1, dims=1), truth.images))
    assert recovery(network, truth) == pytest.approx(dict.fromkeys(recovery(network, truth), 1.0))


def test_orbits_in_another_order_are_no_orbits():
    assert orbit_agreement(torch.tensor([[0, 1, 2, 3], [7, 6, 5, 4]]), 4) == 1
    assert orbit_agreement(torch.tensor([[2, 3, 0, 1], [4, 6, 5, 7]]), 4) == pytest.approx((1 + 1 / 3) / 2)
    assert orbit_agreement(torch.tensor([[0, 4, 1, 5]]), 4) == 0


def test_untrained_networks_recover_next_to_nothing():
    setting = Setting()
    truth = plant(setting, seed=0)
    found = recovery(make_network(setting, "learned", "none"), truth)
    assert abs(found["generator"]) < 0.3
    assert found["filters"] < 0.8


def test_cyclic_orbits_close_whatever_they_are():
    setting = Setting()
    truth = plant(setting, seed=0)
    found = recovery(make_network(setting, "cyclic", "none"), truth)
    assert found["closing"] == pytest.approx(1, abs=1e-3)
    assert found["generator"] < 0.5
