"""Groups that are learned: the law that holds by construction, and free matrices that may break it."""

import pytest
import torch

from lgn_hf.nn import LearnedGroup, LearnedMatrices, LinearGroup, OrbitConv2d

GROUPS = {
    "C_4": LinearGroup.cyclic(4, 9),
    "S_3": LinearGroup.regular(LinearGroup.dihedral(3, 3), 9),
    "D_4": LinearGroup.dihedral(3),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_group_law_holds_whatever_is_learned(name):
    torch.manual_seed(0)
    learned = LearnedGroup(GROUPS[name], dtype=torch.float64)
    optimizer = torch.optim.SGD(learned.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        learned.elements.square().sum().backward()
        optimizer.step()
    elements = learned.elements.detach()
    torch.testing.assert_close(elements[:, None] @ elements, elements[learned.table], rtol=0, atol=1e-9)
    assert not torch.allclose(elements, GROUPS[name].elements, atol=0.1)
    assert learned.group().name == name


def test_without_noise_it_starts_at_the_group():
    for make in (
        lambda group: LearnedGroup(group, noise=0, dtype=torch.float64),
        lambda group: LearnedMatrices(group, draw=False, dtype=torch.float64),
    ):
        for group in GROUPS.values():
            torch.testing.assert_close(make(group).elements.detach(), group.elements)


def test_free_matrices_are_powers_as_in_the_papers():
    matrices = LearnedMatrices(LinearGroup.cyclic(4, 9), dtype=torch.float64)
    a = matrices.weight[0]
    expected = torch.stack([torch.eye(9, dtype=torch.float64), a, a @ a, a @ a @ a])
    torch.testing.assert_close(matrices.elements, expected)
    with pytest.raises(ValueError, match="not a group"):
        matrices.group()


def test_projection_sets_the_norm_of_generators_alone():
    matrices = LearnedMatrices(LinearGroup.dihedral(3))
    with torch.no_grad():
        matrices.weight.mul_(3)
    matrices.project_()
    torch.testing.assert_close(matrices.weight.flatten(-2).norm(dim=-1), torch.full((2,), 3.0))


def test_a_batch_has_one_action_per_orbit_and_channel():
    learned = LearnedGroup(GROUPS["C_4"], batch_shape=(2, 3), dtype=torch.float64)
    layer = OrbitConv2d(3, 8, 3, learned, kind="orbits", dtype=torch.float64)
    filters = layer.filters().unflatten(0, (2, 4))
    elements = learned.elements
    for orbit in range(2):
        for channel in range(3):
            basis = layer.weight[orbit, channel].T.flatten()
            for g in range(4):
                expected = (elements[orbit, channel, g] @ basis).view(3, 3).T
                torch.testing.assert_close(filters[orbit, g, channel], expected)
    with pytest.raises(ValueError, match="needs kind='orbits', not 'lifting'"):
        OrbitConv2d(3, 8, 3, learned)


def test_one_action_shared_by_layers_is_one_parameter():
    learned = LearnedGroup(GROUPS["D_4"])
    net = torch.nn.Sequential(OrbitConv2d(1, 8, 3, learned), OrbitConv2d(8, 8, 3, learned, kind="regular"))
    assert len([p for p in net.parameters() if p is learned.basis]) == 1
    net(torch.randn(1, 1, 9, 9)).square().sum().backward()
    assert learned.basis.grad.norm() > 0


def test_casts_do_not_round_the_group_twice():
    learned = LearnedGroup(LinearGroup.rotations(3, 8), noise=0).half().double()
    torch.testing.assert_close(learned.elements.detach(), LinearGroup.rotations(3, 8).elements, rtol=0, atol=1e-12)
