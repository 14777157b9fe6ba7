"""Which elements of a group are symmetries of the pixel grid, and the image maps that belong to them."""

import pytest
import torch

from lgn_hf.model.filters import unvec, vec
from lgn_hf.nn import ImageMap, LinearGroup, extends_to_image
from lgn_hf.nn.pixel_grid import IMAGE_MAPS


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_the_eight_maps_act_on_filters_as_on_images(size):
    filters = torch.randn(size, size, dtype=torch.float64)
    matrices = {tuple(map_.matrix(size).flatten().tolist()) for map_ in IMAGE_MAPS}
    assert len(matrices) == 8
    for map_ in IMAGE_MAPS:
        assert torch.equal(unvec(map_.matrix(size) @ vec(filters), size), map_(filters))


@pytest.mark.parametrize("size", [2, 3, 5])
def test_dihedral_groups_extend(size):
    expected = [ImageMap(turns, mirrored) for mirrored in (False, True) for turns in range(4)]
    maps = extends_to_image(LinearGroup.dihedral(size))
    assert sorted(maps) == sorted(expected)
    assert maps[:4] == [ImageMap(turns) for turns in range(4)]


def test_half_of_the_rotations_by_45_degrees_extend():
    maps = extends_to_image(LinearGroup.rotations(3, 8))
    assert [map_ is not None for map_ in maps] == [True, False] * 4


def test_shifts_and_vectors_extend_by_the_identity_alone():
    assert extends_to_image(LinearGroup.shifts(3)) == [ImageMap(), None, None]
    assert extends_to_image(LinearGroup.cyclic(3, 6)) == [ImageMap(), None, None]


def test_tolerance():
    group = LinearGroup.rotations(3)
    basis = torch.eye(9, dtype=torch.float64) + 1e-3 * torch.randn(9, 9, dtype=torch.float64)
    near = LinearGroup(basis @ group.elements @ torch.linalg.inv(basis))
    assert extends_to_image(near)[1:] == [None] * 3
    assert None not in extends_to_image(near, tolerance=0.05)
