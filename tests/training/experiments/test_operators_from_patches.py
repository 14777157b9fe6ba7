"""Known operators are learned from patches."""

import pytest
import torch
from lgn_training.experiments.linear_maps import relative_error
from lgn_training.experiments.operators_from_patches import descend, random_patches

from lgn_hf.actions import average_pooling
from lgn_hf.model.filters import rotation_matrix, unvec
from tests.training.experiments.quick_runs import run


def test_patches_lie_inside_their_images_and_are_column_major():
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
    images = (16 * rows + columns).to(torch.uint8).expand(50, 1, 9, 9)
    found = unvec(random_patches(images, 6, seed=0) * 255, 6).round()
    assert torch.equal(found[:, 1:] - found[:, :-1], torch.full((50, 5, 6), 16.0).double())
    assert torch.equal(found[:, :, 1:] - found[:, :, :-1], torch.ones(50, 6, 5).double())
    assert set((found[:, 0, 0] // 16).tolist()) == set((found[:, 0, 0] % 16).tolist()) == {0.0, 1.0, 2.0, 3.0}


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="5 x 5: too small for patches of 6 x 6"):
        random_patches(torch.zeros(1, 1, 5, 5, dtype=torch.uint8), 6, seed=0)


def test_gradient_descent_learns_each_operator_from_white_patches():
    true = torch.stack([average_pooling(3, 2), rotation_matrix(3, 90)])
    found, losses = descend(torch.randn(1280, 9), true, epochs=100, seed=0)
    assert len(losses) == 100
    assert losses[-1] < 1e-4 * losses[0]
    assert relative_error(found, true).max() < 1e-2


@pytest.mark.slow
def test_patches_of_real_images(tmp_path, capsys):
    result = run(tmp_path, "patches")
    operators = [row["operator"] for row in result["rows"]]
    assert len(operators) == 11
    assert "pooling r=5, then rotation by 60" in operators
    assert result["rank"] == 36
    assert max(row["least squares"] for row in result["rows"]) < 1e-3
    assert all(row["least squares"] < row["gradient descent"] < 2 for row in result["rows"])
    assert result["loss"] == sorted(result["loss"], reverse=True)
    assert result["data"]["source"] == "digits"
    assert len(result["data"]["fingerprint"]) == 64
    assert {"command", "seed", "machine", "versions", "commit", "date"} <= result.keys()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"result.json", "figure-3.png", "figure-4.png", "figure-5.png"}
    assert "average pooling r=3" in capsys.readouterr().out
