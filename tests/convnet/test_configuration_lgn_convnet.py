"""The configuration: groups that it can name or hold, and wrong values."""

import json

import pytest
import torch

from lgn_hf import LGNConvNetConfig
from lgn_hf.nn import LinearGroup


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "C_4"),
        ({"group_order": 2}, "C_2"),
        ({"group": "dihedral"}, "D_4"),
        ({"group": "reflection"}, "C_2"),
        ({"group": "cyclic", "group_order": 3}, "C_3"),
        ({"group": "trivial"}, "C_1"),
        ({"group": LinearGroup.rotations(3, 8)}, "C_8"),
        ({"group": LinearGroup.trivial(3)}, "C_1"),
        ({"group": LinearGroup.dihedral(5), "filter_size": 5}, "D_4"),
    ],
)
def test_groups(fields, name, tmp_path):
    config = LGNConvNetConfig(**fields)
    assert config.linear_group.name == name
    assert config.num_maps == [10 * config.linear_group.order] * 3
    config.save_pretrained(tmp_path)
    loaded = LGNConvNetConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    torch.testing.assert_close(loaded.linear_group.elements, config.linear_group.elements, rtol=0, atol=1e-12)
    assert torch.equal(loaded.linear_group.table, config.linear_group.table)
    assert "_linear_group" not in json.loads((tmp_path / "config.json").read_text())


def test_a_given_group_is_stored_by_its_generators():
    group = LinearGroup.dihedral(3)
    config = LGNConvNetConfig(group=group)
    assert config.group == "given"
    assert torch.tensor(config.group_generators).shape == (2, 9, 9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter_size": 4}, "filter_size=4: must be odd"),
        ({"filter_size": 17}, "filter_size=17: must be a whole number from 1 to 15"),
        ({"num_channels": 2}, "num_channels=2: must be 1 or 3"),
        ({"num_orbits": [4, 0, 4]}, r"num_orbits=\[4, 0, 4\]: must be a list of whole numbers from 1 to 4096"),
        ({"depths": [1, 1]}, r"num_orbits=\[10, 10, 10\] and depths=\[1, 1\]: must name equally many stages"),
        ({"group": "spin"}, "group='spin': must be a LinearGroup or one of rotation, dihedral"),
        ({"group_order": 0}, "group_order=0: must be a whole number from 1 to 64"),
        ({"group": "given"}, "group_generators: must be a list of matrices"),
        ({"group": "given", "group_generators": [[[1.0]]]}, r"has shape \(1, 1, 1\): must be \(number, d, d\)"),
        ({"group_generators": [[[1.0]]]}, "group_generators: must be left out for group='rotation'"),
        ({"group": LinearGroup.rotations(5)}, "d = filter_size\\^2 = 9"),
        ({"action": "free"}, "action='free': must be one of fixed, learned"),
        ({"orbit_pooling": "sum"}, "orbit_pooling='sum': must be one of max, mean, none"),
        ({"share_norms": 1}, "share_norms=1: must be true or false"),
        ({"dropout": 1}, "dropout=1: must be at least 0 and less than 1"),
        ({"num_labels": 0}, "num_labels=0: must be a whole number from 1"),
    ],
)
def test_wrong_values(fields, message):
    with pytest.raises(ValueError, match=message):
        LGNConvNetConfig(**fields)
