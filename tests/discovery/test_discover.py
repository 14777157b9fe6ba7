"""`discover`: planted symmetries come back, and nothing else."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lgn_training.experiments.tic_tac_toe import end_positions

from lgn_hf.discovery import Effort, cyclic_table, discover, plant
from lgn_hf.nn import LinearGroup

SMALL = Effort(width=2000, seeds=600, voters=32, sketched=60, polished=8)
NULL = {order: [0.2, 0.21, 0.22, 0.23, 0.24] for order in (2, 3, 4, 6)}  # as 40 points in 9 dimensions have
QUICK = {"null": NULL, "power_trials": 0, "effort": SMALL}
DRAWN = {"null_draws": 5, "power_trials": 0, "effort": SMALL}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def error(found: torch.Tensor, actions: torch.Tensor) -> float:
    """The distance to the nearest planted element, relative."""
    return min(float((found - a).norm() / a.norm()) for a in actions[1:])


def dihedral_table(order: int) -> torch.Tensor:
    return LinearGroup.dihedral(5, order).table


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 4.0])
@pytest.mark.parametrize("order", [2, 3])
def test_an_exact_symmetry_is_found_exactly(order, spread):
    points, actions = plant(cyclic_table(order), 9, 40, 0.0, generator(order), spread)
    result = discover(points, orders=[order], **QUICK)
    assert len(result.actions) == order - 1
    for action in result.actions:
        assert error(action.matrix, actions) < 1e-6
        assert action.order == order
        assert action.p_value <= 0.01
        assert torch.allclose(points @ action.matrix.T, points[action.permutation], atol=1e-6)
    assert result.group.name == f"C_{order}"


def test_a_noisy_symmetry_is_found():
    points, actions = plant(cyclic_table(2), 9, 40, 0.2, generator())
    result = discover(points, orders=[2, 3], **QUICK)
    assert [action.order for action in result.actions] == [2]
    assert error(result.actions[0].matrix, actions) < 0.25
    assert "1 action found" in str(result)


def test_points_may_be_rescaled():
    points, actions = plant(cyclic_table(2), 9, 40, 0.0, generator(), 3.0)
    scales = torch.rand(len(points), 1, generator=generator(1), dtype=torch.float64) + 0.5
    result = discover(points * scales, orders=[2], **QUICK)
    assert error(result.actions[0].matrix, actions) < 0.05


def test_some_points_may_stay():
    points, actions = plant(cyclic_table(2), 9, 30, 0.0, generator())
    moved = torch.randn(8, 9, generator=generator(1), dtype=torch.float64)
    middle = moved + moved @ actions[1].T
    result = discover(torch.cat([points, middle]), orders=[2], **QUICK)
    assert error(result.actions[0].matrix, actions) < 1e-6
    assert result.actions[0].permutation[-8:].tolist() == list(range(30, 38))


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is():
    points = torch.randn(40, 9, generator=generator(), dtype=torch.float64)
    result = discover(points, orders=[2, 3], null_draws=5, power_trials=2, effort=SMALL)
    assert result.actions == []
    assert result.group is None
    assert result.determined
    assert result.power is not None
    assert 0 <= result.power.rate <= 1
    assert "None found" in result.summary()
    assert "would have been found" in result.summary()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_result():
    points, _ = plant(cyclic_table(2), 9, 30, 0.2, generator())
    first, second = (discover(points, orders=[2], seed=3, **DRAWN) for _ in range(2))
    assert first.null == second.null
    assert torch.equal(first.actions[0].matrix, second.actions[0].matrix)


def test_too_few_points_cannot_be_determined():
    result = discover(torch.randn(9, 9, generator=generator()))
    assert not result.determined
    assert result.actions == []
    assert result.group is None
    assert "more points than dimensions" in result.reason
    assert "Cannot be determined" in str(result)


def test_a_dictionary_brings_its_evidence():
    points, actions = plant(cyclic_table(2), 9, 40, 0.2, generator())
    together = (points @ points.T).exp()
    often = (points + points @ actions[1].T).norm(dim=1)
    dictionary = SimpleNamespace(atoms=points, coactivation=together, frequency=often, amplitude=often**2)
    result = discover(dictionary, orders=[2], **QUICK)
    assert error(result.actions[0].matrix, actions) < 0.3


def test_labels_rule_symmetries_out():
    points, _ = plant(cyclic_table(2), 9, 40, 0.0, generator())
    result = discover(points, orders=[2], labels=np.arange(40), **QUICK)
    assert result.actions == []


def test_copies_and_lower_rank_are_noted():
    points, actions = plant(cyclic_table(2), 9, 40, 0.0, generator())
    wide = torch.cat([points, torch.zeros(40, 3)], 1)
    result = discover(torch.cat([wide, wide[:2], torch.zeros(1, 12)]), orders=[2], **QUICK)
    assert result.dim == 9
    assert result.num_points == 40
    assert {"2 copies of other rows were left out", "1 zero rows were left out"} < set(result.notes)
    assert result.actions[0].matrix.shape == (12, 12)
    assert error(result.actions[0].matrix[:9, :9], actions) < 1e-6
    assert result.actions[0].permutation[-1] == 42


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.full((20, 4), math.nan), "finite"),
        (torch.tensor([[1.0, math.inf], [0.0, 1.0]]), "finite"),
        (torch.ones(20, 4), "differ"),
        (torch.ones(20), "matrix"),
        (torch.nn.Linear(2, 2), "matrix of numbers .* got Linear"),
        ([[1.0, 2.0], [3.0]], "matrix of numbers .* got list"),
        (torch.ones(1, 4), "two rows"),
        (torch.ones(20, 4, dtype=torch.complex64), "real"),
    ],
)
def test_malformed_points_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        discover(points)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"orders": [1]}, "orders"),
        ({"orders": []}, "orders"),
        ({"alpha": 0}, "alpha"),
        ({"null_draws": 1}, "null_draws"),
        ({"coverage": 0}, "coverage"),
        ({"coactivation": torch.ones(3, 3)}, "coactivation"),
        ({"frequency": torch.full((20,), math.nan)}, "frequency"),
        ({"labels": [1, 2]}, "labels"),
    ],
)
def test_malformed_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        discover(torch.randn(20, 4), **options)


def test_the_null_of_like_points_can_be_used_again():
    points, _ = plant(cyclic_table(2), 9, 40, 0.2, generator())
    again = discover(points, orders=[2], **QUICK)
    assert again.null == NULL  # all orders tell how much mismatches vary
    assert len(again.actions) == 1
    with pytest.raises(ValueError, match="at least two draws for each order"):
        discover(points, orders=[2, 5], **QUICK)


@pytest.mark.slow
def test_a_p_value_near_alpha_is_measured_with_more_draws():
    points, _ = plant(cyclic_table(2), 9, 40, 0.2, generator())
    far, near = (discover(points, orders=[2], alpha=alpha, **DRAWN).null[2] for alpha in (0.01, 1e-12))
    assert len(far) == 5
    assert len(near) == 20
    assert near[:5] == far


def test_all_mirrors_of_a_group_are_found():
    points, actions = plant(dihedral_table(2), 9, 40, 0.2, generator())
    result = discover(points, orders=[2], **QUICK)
    assert result.group.name == "Z_2 x Z_2"
    assert max(error(action.matrix, actions) for action in result.actions) < 0.3


def test_some_points_may_have_lost_their_images():
    points, actions = plant(cyclic_table(2), 6, 60, 0.0, generator())
    kept = points[torch.randperm(60, generator=generator(1))[:50]]
    result = discover(kept, orders=[2], coverage=0.7, **QUICK)
    assert error(result.actions[0].matrix, actions) < 1e-6


@pytest.mark.slow
def test_progress_is_reported():
    seen = []
    points = torch.randn(20, 4, generator=generator())
    discover(points, orders=[2], null_draws=5, progress=lambda *stage: seen.append(stage), effort=SMALL)
    assert seen[0] == ("points", 1, 7)
    assert seen[-1] == ("power", 7, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "table", "dim"),
    [
        ("D_4", dihedral_table(4), 16),
        ("S_3", dihedral_table(3), 16),
        ("Z_2 x Z_2", dihedral_table(2), 16),
        ("C_6", cyclic_table(6), 16),
    ],
)
def test_several_generators_close_to_their_group(name, table, dim):
    points, actions = plant(table, dim, 4 * dim, 0.2, generator())
    result = discover(points, orders=[2, 3, 4, 6], **QUICK)
    assert result.group is not None
    assert result.group.order == len(table)
    assert len(result.actions) == len(table) - 1
    assert max(error(action.matrix, actions) for action in result.actions) < 0.3
    assert result.group.name == name or name == "S_3"


@pytest.mark.slow
def test_tic_tac_toe_has_the_symmetry_of_the_square():
    """The experiment discovery-boards searches all ends; here are the 332 that the first player did not win."""
    boards, won = end_positions()
    null = {order: [0.17, 0.18, 0.19, 0.2, 0.21] for order in (2, 4)}  # as the experiment draws it
    result = discover(boards[~won.bool()], orders=[2, 4], null=null, power_trials=0)
    assert result.group.name == "D_4"
    expected = {tuple(a.flatten().tolist()) for a in LinearGroup.dihedral(3).elements[1:].round()}
    assert {tuple(a.matrix.round().flatten().tolist()) for a in result.actions} == expected
    assert all(torch.allclose(a.matrix, a.matrix.round(), atol=1e-6) for a in result.actions)


def test_tight_clusters_count_as_one_point_each():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(9, 1, 9, dtype=torch.float64, generator=generator)
    points = (centres + 0.1 * torch.randn(9, 3, 9, dtype=torch.float64, generator=generator)).flatten(0, 1)
    found = discover(points)
    assert not found.determined
    assert "27 points lie in 9 tight clusters, and span 9 dimensions" in found.reason


@pytest.mark.slow
def test_a_direction_that_noise_hides_does_not_break_the_group():
    """One direction has 2 % of the deviation of the widest, at noise of 20 %. Fitted alone, the element of order 2 turns it over."""
    points, actions = plant(cyclic_table(6), 9, 27, 0.2, generator(1004))
    result = discover(points, orders=[6], seed=1004, **QUICK)
    assert result.group.name == "C_6"
    assert sorted(action.order for action in result.actions) == [2, 3, 3, 6, 6]
    assert max(error(action.matrix, actions) for action in result.actions) < 0.2
