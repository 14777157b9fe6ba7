"""Linear groups: the group law, how groups are made, and what is refused."""

import math

import pytest
import torch

from lgn_hf.model.filters import rotation_matrix, unvec, vec
from lgn_hf.nn import LinearGroup

SIZES = [2, 3, 4, 5, 7]


def assert_group(group, tolerance=1e-12):
    """elements[a] @ elements[b] = elements[table[a, b]], inverses, identity first."""
    products = group.elements[:, None] @ group.elements
    torch.testing.assert_close(products, group.elements[group.table], rtol=0, atol=tolerance)
    eye = torch.eye(group.dim, dtype=torch.float64)
    torch.testing.assert_close(group.elements[0], eye, rtol=0, atol=tolerance)
    torch.testing.assert_close(
        group.elements @ group.elements[group.inverses], eye.expand_as(group.elements), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6, 8, 12])
def test_rotations_are_the_powers_of_one(size, order):
    group = LinearGroup.rotations(size, order)
    assert_group(group)
    assert (group.order, group.name) == (order, f"C_{order}")
    assert group.is_orthogonal
    for i in range(order):
        expected = torch.linalg.matrix_power(group.elements[1 % order], i)
        torch.testing.assert_close(group.elements[i], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_rotations_by_90_degrees_move_pixels(size):
    filters = torch.randn(size, size, dtype=torch.float64)
    for i, element in enumerate(LinearGroup.rotations(size).elements):
        assert torch.equal(unvec(element @ vec(filters), size), torch.rot90(filters, i))


@pytest.mark.parametrize("size", [3, 5, 7])
def test_rotations_by_45_degrees_contain_those_by_90(size):
    torch.testing.assert_close(
        LinearGroup.rotations(size, 8).elements[::2], LinearGroup.rotations(size).elements, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("order", [12, 20])
@pytest.mark.parametrize("size", SIZES)
def test_rotations_by_30_and_18_degrees_contain_those_by_90(size, order):
    torch.testing.assert_close(
        LinearGroup.rotations(size, order).elements[:: order // 4],
        LinearGroup.rotations(size).elements,
        rtol=0,
        atol=1e-12,
    )


def test_on_two_pixels_one_pattern_has_no_rotation_by_45_degrees():
    """The checkerboard changes its sign by 90 degrees, so no real rotation by 45 degrees has that as its square."""
    quarter = LinearGroup.rotations(2, 8).elements[2]
    checkerboard = torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)
    assert torch.equal(rotation_matrix(2, 90) @ checkerboard, -checkerboard)
    torch.testing.assert_close(quarter @ checkerboard, checkerboard)


@pytest.mark.parametrize("degrees", [30, 45, 60])
def test_rotations_turn_smooth_filters_as_interpolation_does(degrees):
    pixels = torch.arange(5, dtype=torch.float64) - 2
    bump = torch.exp(-((pixels[:, None] - 0.5) ** 2 + (pixels - 1) ** 2) / 2)
    ours = LinearGroup.rotations(5, 360 // degrees).elements[1] @ vec(bump)
    assert torch.cosine_similarity(ours, rotation_matrix(5, degrees) @ vec(bump), dim=0) > 0.95


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("order", "name"), [(1, "C_2"), (2, "Z_2 x Z_2"), (3, "S_3"), (4, "D_4"), (6, "D_6")])
def test_dihedral_groups(size, order, name):
    group = LinearGroup.dihedral(size, order)
    assert_group(group)
    assert (group.order, group.name) == (2 * order, name)
    filters = torch.randn(size, size, dtype=torch.float64)
    assert torch.equal(unvec(group.elements[order] @ vec(filters), size), filters.flip(1))


def test_reflections_and_shifts():
    filters = torch.randn(3, 3, dtype=torch.float64)
    expected = {
        "left-right": filters.flip(1),
        "up-down": filters.flip(0),
        "diagonal": filters.T,
        "anti-diagonal": filters.flip(0, 1).T,
    }
    for axis, mirrored in expected.items():
        group = LinearGroup.reflections(3, (axis,))
        assert group.name == "C_2"
        assert torch.equal(unvec(group.elements[1] @ vec(filters), 3), mirrored)
    assert LinearGroup.reflections(3, ("left-right", "up-down")).name == "Z_2 x Z_2"
    assert LinearGroup.reflections(3, ("left-right", "diagonal")).name == "D_4"
    shift = LinearGroup.shifts(3).elements[1]
    assert torch.equal(unvec(shift @ vec(filters), 3), filters.roll(1, 0))
    shift = LinearGroup.shifts(3, ("horizontal",)).elements[1]
    assert torch.equal(unvec(shift @ vec(filters), 3), filters.roll(1, 1))
    assert LinearGroup.shifts(3, ("vertical", "horizontal")).name == "Z_3 x Z_3"


def test_permutations():
    group = LinearGroup.permutations([[1, 2, 3, 0], [1, 0, 2, 3]])
    assert_group(group)
    assert (group.order, group.name) == (24, "S_4")
    assert torch.equal(group.generators[0] @ torch.arange(4.0).double(), torch.tensor([1.0, 2, 3, 0]).double())


def test_the_regular_representation_of_any_table():
    for group in (LinearGroup.dihedral(3), LinearGroup.rotations(2), LinearGroup.permutations([[1, 2, 0], [1, 0, 2]])):
        regular = LinearGroup.regular(group, dim=2 * group.order + 1)
        assert_group(regular)
        assert torch.equal(regular.table, group.table)
        assert regular.name == group.name
        assert bool((regular.elements[:, -1, -1] == 1).all())


def test_cyclic_actions_are_those_of_the_network():
    from lgn_hf.model.group_actions import CyclicAction

    action = CyclicAction(order=4, size=3)
    with torch.no_grad():
        action.weight.copy_(torch.eye(9))
    ours = LinearGroup.cyclic(4, 9).elements
    torch.testing.assert_close(action.operators(torch.zeros(0, dtype=torch.float64))[0, 0, 0], ours)


def test_generators_that_were_measured_close_to_an_exact_group():
    torch.manual_seed(0)
    exact = LinearGroup.dihedral(5)
    noise = torch.randn(2, 25, 25, dtype=torch.float64)
    noisy = exact.generators + 0.02 * noise
    group = LinearGroup.from_generators(noisy, tolerance=0.4)
    assert_group(group)
    assert (group.order, group.name) == (8, "D_4")
    error = (group.generators - exact.generators).norm()
    assert error < (noisy - exact.generators).norm()


def test_elements_that_contradict_each_other_in_one_direction_still_make_a_group():
    """In one direction two mirrors have the wrong sign, so steps to the group law lead to matrices far away."""
    exact = LinearGroup.dihedral(4)
    signs = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)  # of the mirrors: 1 along axes, -1 along diagonals
    direction = torch.linalg.eigh(torch.einsum("g,gij->ij", signs, exact.elements))[1][:, -1]
    measured = exact.elements + 0.05 * torch.randn(
        8, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    for mirror in (5, 6):
        measured[mirror] -= 2 * signs[mirror] * torch.outer(direction, direction)
    group = LinearGroup.from_generators(measured[1:], tolerance=0.6, max_order=8)
    assert_group(group)
    assert group.name == "D_4"
    distances = torch.cdist(group.elements.flatten(1), exact.elements.flatten(1)) / 4
    assert distances.min(1).values.max() < 0.15
    assert sorted(distances.argmin(1).tolist()) == list(range(8))


def test_generators_that_others_generate_are_left_out():
    exact = LinearGroup.dihedral(3)
    group = LinearGroup.from_generators(exact.elements)
    assert (group.order, len(group.generators)) == (8, 2)


def test_a_group_that_was_found_snaps_to_the_symmetries_of_the_grid():
    torch.manual_seed(0)
    exact = LinearGroup.dihedral(5)
    found = LinearGroup.from_generators(exact.generators + 0.01 * torch.randn(2, 25, 25).double(), tolerance=0.3)
    snapped = found.snapped()
    assert torch.equal(snapped.table, found.table)
    assert torch.equal(snapped.generators, exact.generators)
    assert snapped.resized(3).name == "D_4"
    with pytest.raises(ValueError, match="C_8 is not near a group of symmetries of the pixel grid: element 1 is none"):
        LinearGroup.rotations(5, 8).snapped()
    with pytest.raises(ValueError, match="its filters are not square"):
        LinearGroup.cyclic(3, 6).snapped()


def test_a_group_in_another_basis():
    torch.manual_seed(0)
    basis = torch.eye(9, dtype=torch.float64) + 0.3 * torch.randn(9, 9, dtype=torch.float64)
    generators = basis @ LinearGroup.dihedral(3).generators @ torch.linalg.inv(basis)
    group = LinearGroup.from_generators(generators)
    assert_group(group, 1e-8)
    assert (group.order, group.name, group.is_orthogonal) == (8, "D_4", False)


def test_generators_may_be_objects_with_a_matrix():
    class Found:
        matrix = rotation_matrix(3, 90)

    assert LinearGroup.from_generators([Found()]).name == "C_4"


def test_an_action_of_a_published_network():
    from tests.support.networks import make_used_model

    action = make_used_model("rotation-90").actions()[0, 0, 0]
    assert LinearGroup.from_generators([action]).name == "C_4"


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([2 * torch.eye(4)], "do not close to a group of at most max_order=64 elements: .* nearer .* than 0.5"),
        ([rotation_matrix(5, 90) * 1.01], "do not close to a group of at most max_order=64"),
        ([rotation_matrix(2, 10) + 1e-3], "do not close"),
        ([torch.zeros(3, 3)], "generator 0 is singular"),
        ([torch.eye(3), torch.eye(4)], r"differ in shape: \(3, 3\), \(4, 4\)"),
        ([torch.full((2, 2), math.nan)], "not finite"),
        ([torch.eye(3)[:2]], r"must have shape \(number, d, d\), not \(1, 2, 3\)"),
        ([], "needs at least one generator"),
    ],
)
def test_generators_of_no_finite_group(matrices, message):
    with pytest.raises(ValueError, match=message):
        LinearGroup.from_generators(matrices)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearGroup(torch.stack([torch.eye(2).flip(0)] * 2)), r"elements\[0\] must be the identity"),
        (lambda: LinearGroup(torch.stack([torch.eye(2), 2 * torch.eye(2)])), "not that of a group"),
        (lambda: LinearGroup(LinearGroup.rotations(3).elements[:3]), "not that of a group|not a group"),
        (
            lambda: LinearGroup(torch.eye(2)[None].repeat(2, 1, 1), torch.tensor([[0, 1], [1, 1]])),
            "every element once",
        ),
        (lambda: LinearGroup.rotations(1), "filter_size=1: must be at least 2"),
        (lambda: LinearGroup.rotations(3, 0), "order=0: must be at least 1"),
        (lambda: LinearGroup.reflections(3, ("sideways",)), "axes=.*sideways.*left-right"),
        (lambda: LinearGroup.reflections(3, "left-right"), "must be a sequence"),
        (lambda: LinearGroup.permutations([[0, 0, 1]]), r"\[0, 0, 1\] is not a permutation of 0..2"),
        (lambda: LinearGroup.cyclic(5, 4), "dim=4: must be at least the order of the group, 5"),
        (lambda: LinearGroup.rotations(3, 8).resized(5), "element 1 of C_8 is not a symmetry of the pixel grid"),
    ],
)
def test_what_is_no_group(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_group_serves_other_filter_sizes():
    group = LinearGroup.dihedral(3)
    for size in (1, 2, 4, 5):
        other = group.resized(size)
        assert torch.equal(other.table, group.table)
        if size > 1:
            assert torch.equal(other.elements, LinearGroup.dihedral(size).elements)
    assert LinearGroup.rotations(3, 8).resized(1).order == 8
