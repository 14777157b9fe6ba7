"""Names of groups, from tables that are built as permutations or products."""

import itertools

import pytest
import torch

from lgn_hf.nn import LinearGroup
from lgn_hf.nn.naming import element_orders, generating_set, group_name


def cyclic(n):
    steps = torch.arange(n)
    return (steps[:, None] + steps) % n


def product(first, second):
    """The table of G x H, element (g, h) at g |H| + h."""
    size = len(second)
    index = torch.arange(len(first) * size)
    g, h = index // size, index % size
    return first[g[:, None], g] * size + second[h[:, None], h]


def permutations(*generators):
    return LinearGroup.permutations(generators, max_order=120).table


def quaternions():
    """Units +-1, +-i, +-j, +-k as 4 x 4 matrices of left multiplication."""
    i = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]).double()
    j = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]).double()
    return LinearGroup.from_generators([i, j]).table


S3 = permutations([1, 2, 0], [1, 0, 2])
D4 = LinearGroup.dihedral(3).table

NAMES = {
    "C_1": cyclic(1),
    "C_2": cyclic(2),
    "C_6": product(cyclic(2), cyclic(3)),
    "C_12": product(cyclic(3), cyclic(4)),
    "Z_2 x Z_2": product(cyclic(2), cyclic(2)),
    "Z_2 x Z_4": product(cyclic(4), cyclic(2)),
    "Z_2 x Z_2 x Z_2": product(cyclic(2), product(cyclic(2), cyclic(2))),
    "Z_3 x Z_3": product(cyclic(3), cyclic(3)),
    "Z_2 x Z_6": product(cyclic(6), cyclic(2)),
    "S_3": S3,
    "D_4": D4,
    "D_5": LinearGroup.dihedral(3, 5).table,
    "D_6": product(cyclic(2), S3),
    "Q_8": quaternions(),
    "A_4": permutations([1, 2, 0, 3], [1, 0, 3, 2]),
    "S_4": permutations([1, 2, 3, 0], [1, 0, 2, 3]),
    "A_5": permutations([1, 2, 0, 3, 4], [0, 1, 3, 4, 2]),
    "Z_2 x D_4": product(cyclic(2), D4),
    "Z_2 x Q_8": product(quaternions(), cyclic(2)),
    "group of order 12": LinearGroup.from_generators(  # the dicyclic group
        [
            torch.tensor([[0, -1, 0, 0], [1, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 1]]).double(),
            torch.tensor([[0, 0, -1, -1], [0, 0, 0, 1], [1, 1, 0, 0], [0, -1, 0, 0]]).double(),
        ]
    ).table,
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert group_name(NAMES[name]) == name


@pytest.mark.parametrize("name", ["D_4", "S_4", "Z_2 x Z_4", "Z_2 x D_4"])
def test_a_name_does_not_depend_on_the_order_of_elements(name):
    table = NAMES[name]
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(len(table) - 1)])
    place = order.argsort()
    assert group_name(place[table[order][:, order]]) == name


@pytest.mark.parametrize("name", NAMES)
def test_few_elements_generate_a_group(name):
    table = NAMES[name]
    generators = generating_set(table.tolist())
    reached = {0}
    while True:
        larger = reached | {int(table[a, b]) for a, b in itertools.product(reached, generators)}
        if larger == reached:
            break
        reached = larger
    assert len(reached) == len(table)
    assert len(generators) <= 3


def test_orders_of_elements():
    assert element_orders(cyclic(6)) == [1, 6, 3, 2, 3, 6]
