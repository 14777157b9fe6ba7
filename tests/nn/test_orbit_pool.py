"""OrbitPool2d: the maximum or mean over the group."""

import pytest
import torch

from lgn_hf.nn import LinearGroup, OrbitPool2d

GROUP = LinearGroup.dihedral(3)


def test_maximum_and_mean():
    x = torch.randn(2, 24, 4, 5)
    orbits = x.view(2, 3, 8, 4, 5)
    assert torch.equal(OrbitPool2d(GROUP)(x), orbits.max(2).values)
    torch.testing.assert_close(OrbitPool2d(GROUP, "mean")(x), orbits.mean(2))


def test_what_is_refused():
    with pytest.raises(ValueError, match="mode='sum': must be one of max, mean"):
        OrbitPool2d(GROUP, "sum")
    with pytest.raises(ValueError, match=r"12 maps: must be a multiple of \|G\| = 8"):
        OrbitPool2d(GROUP)(torch.zeros(1, 12, 3, 3))
