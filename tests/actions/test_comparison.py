"""Sets of actions: their distance, and whether a label tells them apart."""

import numpy as np
import pytest
import torch
from lgn_training.experiments.known_matrices import D, draw

from lgn_hf.actions import action_distance, permutation_test


def test_ignores_order_and_scale():
    actions = draw(5, 16, 16)
    again = actions[torch.tensor([3, 1, 4, 0, 2])] * torch.tensor([1.0, 2, 3, 4, 5])[:, None, None]
    assert action_distance(actions, again) == pytest.approx(0, abs=1e-6)
    assert action_distance(actions, -actions[:1]) > 0.6


def test_unrelated_sets_are_half_the_root_of_2_apart():
    assert action_distance(draw(1, D, D), draw(1, D, D, seed=1)) == pytest.approx(0.5**0.5, abs=0.02)


def test_a_smaller_set_is_matched_into_the_larger():
    actions = draw(5, 16, 16)
    assert action_distance(actions, actions[3:]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shapes", [((2, 4, 4), (2, 9, 9)), ((0, 4, 4), (2, 4, 4)), ((4, 4), (4, 4))])
def test_sets_must_be_comparable(shapes):
    with pytest.raises(ValueError, match="of the same d"):
        action_distance(*(torch.ones(shape) for shape in shapes))


def test_permutation_test_finds_a_difference_that_is_there():
    tasks = {"a": draw(3, 16, 16), "b": draw(3, 16, 16, seed=1)}
    labels = [*"aaaabbbb"]
    sets = [tasks[label] + 0.5 * draw(3, 16, 16, seed=2 + i) for i, label in enumerate(labels)]
    found = permutation_test(sets, labels, permutations=999)
    assert found["statistic"] > 0.2
    assert found["p_value"] == pytest.approx(
        2 / 70, abs=0.02
    )  # of 70 ways to choose 4 of 8, these and their complement
    assert found["permutations"] == 999


def test_permutation_test_finds_none_where_there_is_none():
    """p-values of unrelated sets are spread over [0, 1]."""
    p = [
        permutation_test([draw(1, 4, 4, seed=10 * i + j) for j in range(6)], [*"aaabbb"], permutations=199)["p_value"]
        for i in range(30)
    ]
    assert 0.35 < np.mean(p) < 0.75
    assert min(p) >= 1 / 20


def test_permutation_test_is_of_sets_of_one_size():
    """Unrelated actions are nearer to a larger set, whatever its label."""
    few, more, many = (draw(count, 16, 16, seed=count) for count in (10, 11, 60))
    assert action_distance(few, many) < action_distance(few, more[:10]) - 0.01
    with pytest.raises(
        ValueError, match=r"must hold the same number of actions, got \(10, 16, 16\), .*, \(60, 16, 16\)"
    ):
        permutation_test([few, few, more, many], [*"aabb"])


@pytest.mark.parametrize("labels", [["a", "a"], ["a", "b"], ["a", "b", "a"]])
def test_permutation_test_needs_two_labels_and_one_twice(labels):
    with pytest.raises(ValueError, match="two different labels and one label used twice"):
        permutation_test([draw(1, 4, 4)] * 2, labels)
