"""The saved actions that several files test."""

import pytest
import torch

from tests.support.networks import make_used_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Actions of a network, one of them singular, and the folder that they were saved in."""
    model = make_used_model("learned-colour", name_or_path="user/network")
    with torch.no_grad():
        model.lgn.action.weight[1, 1, 2] = 0
    folder = tmp_path_factory.mktemp("saved")
    actions = model.actions()
    actions.save(folder)
    return actions, folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the files, to damage."""
    for path in saved[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
