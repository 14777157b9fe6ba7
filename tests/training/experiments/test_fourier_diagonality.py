"""The Fourier basis makes circulants diagonal."""

import pytest
import torch
from lgn_training.experiments.fourier_diagonality import dft_shares

from tests.training.experiments.quick_runs import folder_of_model, run


def test_the_fourier_basis_makes_circulants_diagonal():
    first = torch.randn(9, dtype=torch.float64)
    circulant = torch.stack([first.roll(i) for i in range(9)], dim=1)
    assert dft_shares(circulant)["on the diagonal"] == pytest.approx(1)
    anti = circulant.flip(0)
    assert dft_shares(anti)["on the diagonal"] < 0.5
    assert dft_shares(anti)["in the d largest"] == pytest.approx(1)


def test_dft_of_references_and_learned_actions(tmp_path):
    source = folder_of_model(tmp_path / "mine")
    result = run(tmp_path, "dft", "--source", source)
    shares = {row["matrix"]: row["on the diagonal"] for row in result["rows"]}
    assert shares["circulant"] == pytest.approx(1)
    assert shares["random"] < 0.15  # 1/d on average
    assert shares["random"] < shares["Toeplitz"] < 1
    assert 0 < shares["mine, mean of 4"] < 1
    assert sorted(result["figures"]) == ["dft-learned.png", "dft.png"]
