"""Held-out points: a symmetry maps the points to them, and an approximation does not."""

from importlib import import_module

import pytest
import torch

from lgn_hf.discovery import Effort, cyclic_table, discover, plant
from lgn_hf.discovery.held_out import MOST_COST, relative_cost

QUICK = {
    "null": {2: [0.15, 0.16, 0.17, 0.18, 0.19]},
    "power_trials": 0,
    "effort": Effort(width=500, seeds=200, voters=32, sketched=40, polished=4),
}


@pytest.fixture(scope="module")
def planted():
    """Orbits of a mirror, as many others of the same mirror, and its matrix."""
    generator = torch.Generator().manual_seed(0)
    points, actions = plant(cyclic_table(2), 9, 40, 0.1, generator)
    half = torch.randn(60, 9, dtype=torch.float64, generator=generator)
    return points, torch.cat([half, half @ actions[1].T]), actions[1]


def test_a_symmetry_costs_what_the_identity_costs(planted):
    points, others, mirror = planted
    assert relative_cost(points, others, mirror) < 1.1


def test_a_map_that_turns_orbits_into_other_points_costs_more():
    line = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None]
    points = torch.cat([line.cos(), line.sin(), 0 * line], 1)
    swap = torch.eye(3, dtype=torch.float64)[[0, 2, 1]]
    assert relative_cost(points[::2], points[1::2], swap) > MOST_COST


def test_an_action_is_found_only_if_it_holds_for_others(planted, monkeypatch):
    points, others, _ = planted
    (action,) = discover(points, [2], **QUICK, held_out=others).actions
    assert action.held_out < MOST_COST
    assert "held out" in str(action)
    monkeypatch.setattr(import_module("lgn_hf.discovery.discover"), "MOST_COST", 0.5 * action.held_out)
    assert not discover(points, [2], **QUICK, held_out=others).actions


def test_held_out_points_of_another_dimension_are_refused(planted):
    with pytest.raises(ValueError, match="held_out must have 9 columns"):
        discover(planted[0], [2], held_out=torch.randn(20, 4))
