"""Networks of the papers that start at a symmetry which was found."""

import pytest
import torch
from lgn_training import run as program

from lgn_hf import Actions, LGNForImageClassification, load_actions
from lgn_hf.actions import save_actions
from lgn_hf.nn import LinearGroup

TINY = ["--dataset", "digits", "--num_groups", "2", "--num_layers", "2", "--filter_size", "3", "--group_order", "4"]
TINY += ["--action", "cyclic", "--max_train_samples", "200", "--max_steps", "1", "--disable_tqdm", "--use_cpu"]
TINY += ["--learning_rate", "1e-9"]


@pytest.fixture
def found(tmp_path):
    """What a search leaves: a mirror image, and the rotation by 90 degrees in slightly other coordinates."""
    basis = torch.eye(9, dtype=torch.float64) + 0.02 * torch.randn(9, 9, dtype=torch.float64)
    rotation = basis @ LinearGroup.rotations(3).generators[0] @ torch.linalg.inv(basis)
    matrices = torch.stack([LinearGroup.reflections(3).generators[0], rotation])
    save_actions(Actions(matrices.float()[None, :, None], 4), tmp_path / "found")
    return str(tmp_path / "found")


def start(*options, folder):
    return program.main([*TINY, "--action_init", "discovered", *options, "--output_dir", str(folder)])


@pytest.mark.slow
def test_every_action_starts_at_the_one_of_its_order(found, tmp_path):
    assert start("--group_from", found, folder=tmp_path / "run") == 0
    trained = LGNForImageClassification.from_pretrained(tmp_path / "run").group_actions()
    rotation = load_actions(found).matrices[0, 1, 0]
    torch.testing.assert_close(trained, rotation.expand_as(trained), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs --model_type lgn, and --group_from FOLDER"),
        (["--group_order", "3"], "it has actions of orders [2, 4], none of group_order=3"),
        (["--filter_size", "4"], "its actions are on filters of 9 pixels, those of filter_size=4 have 16"),
        (["--group_order", "2"], "its eigenvalues are others"),
        (["--action_init", "zero"], "action_init='zero': must be one of random, discovered"),
    ],
)
def test_a_mistake_ends_in_one_line(options, message, found, tmp_path, capsys):
    given = ["--group_from", found] if options else []
    assert start(*given, *options, folder=tmp_path / "run") == 1
    assert message in capsys.readouterr().err
