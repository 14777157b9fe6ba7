"""How a group came about is read from the configuration, the recipe, and the actions that it was made of."""

import pytest
import torch

from lgn_hf import Actions, LGNConvNetConfig
from lgn_hf.actions import save_actions
from lgn_hf.nn import LinearGroup
from lgn_hf.runs.group_origin import ORIGINS, group_origin, read_group_source

GIVEN = {"group": LinearGroup.rotations(3)}


@pytest.mark.parametrize(
    ("fields", "recipe", "source", "origin"),
    [
        ({}, {}, None, "told"),
        ({"group": "dihedral"}, {"group_from": None}, None, "told"),
        ({"group": "trivial"}, {}, None, "free"),
        ({"action": "learned"}, {}, None, "learned"),
        ({**GIVEN, "action": "learned"}, {"snap_group": True}, "symmetries of digits", "learned"),
        (GIVEN, {}, None, "given"),
        (GIVEN, {"group_from": "x"}, "random cyclic", "given"),
        (GIVEN, {"group_from": "x", "snap_group": False}, "symmetries of digits", "discovered"),
        (GIVEN, {"group_from": "x", "snap_group": True}, "symmetries of digits", "snapped"),
        (GIVEN, {"group_from": "x", "snap_group": True}, "random cyclic", "given"),
    ],
)
def test_the_origin_of_a_group(fields, recipe, source, origin):
    assert group_origin(LGNConvNetConfig(**fields), recipe, source) == origin
    assert origin in ORIGINS


def test_the_source_is_the_name_of_the_actions_or_that_of_their_folder(tmp_path):
    actions = Actions(LinearGroup.rotations(3).generators.float()[None, None], 4, name="symmetries of digits")
    save_actions(actions, tmp_path / "found")
    assert read_group_source(str(tmp_path / "found")) == "symmetries of digits"
    save_actions(Actions(torch.eye(9)[None, None, None], 1), tmp_path / "nameless")
    assert read_group_source(str(tmp_path / "nameless")) == "nameless"
    assert read_group_source(str(tmp_path / "gone")) == "gone"
