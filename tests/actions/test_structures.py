"""Structure scores: on matrices that have the structure, beside formulas written out with NumPy, and on bad input."""

import math

import numpy as np
import pytest
import torch
from lgn_training.experiments.known_matrices import D, draw, noisy, toeplitz_matrix

from lgn_hf.actions import SCORES, scale_levels, scores, structures


@pytest.mark.parametrize("name", SCORES)
def test_ignores_scale_and_sign(name):
    matrices = draw(3, D, D)
    torch.testing.assert_close(SCORES[name](1e9 * matrices), SCORES[name](matrices))
    if name != "cyclicity":
        torch.testing.assert_close(SCORES[name](-matrices), SCORES[name](matrices))


@pytest.mark.parametrize("name", SCORES)
def test_is_between_0_and_1_in_any_batch(name):
    matrices = torch.stack([torch.eye(D), torch.ones(D, D), torch.zeros(D, D), torch.randn(D, D)]).view(2, 2, D, D)
    values = SCORES[name](matrices)
    assert values.shape == (2, 2)
    assert values.dtype == torch.float64
    assert ((values >= 0) & (values <= 1)).all()
    assert values[1, 0] == 0  # the zero matrix has no structure
    torch.testing.assert_close(values[1, 1], SCORES[name](matrices[1, 1]))


def test_skew_symmetry_of_symmetric_matrices_is_0():
    assert structures.skew_symmetry(draw(D, D) + draw(D, D).T) == 0


def test_circulant_is_the_energy_on_the_diagonal_of_the_dft():
    """F A F^-1 with NumPy (appendix D)."""
    matrix = noisy(toeplitz_matrix())
    transformed = np.fft.ifft(np.fft.fft(matrix.numpy(), axis=0), axis=1)
    expected = (np.abs(np.diag(transformed)) ** 2).sum() / (np.abs(transformed) ** 2).sum()
    assert float(structures.circulant(matrix)) == pytest.approx(expected, abs=1e-12)


def test_toeplitz_is_the_best_fit_diagonal_by_diagonal():
    matrix = draw(D, D).numpy()
    fit = sum(np.diag(np.full(D - abs(k), np.diag(matrix, k).mean()), k) for k in range(1 - D, D))
    expected = 1 - ((matrix - fit) ** 2).sum() / (matrix**2).sum()
    assert float(structures.toeplitz(torch.from_numpy(matrix))) == pytest.approx(expected, abs=1e-12)


def test_structures_that_contain_others_explain_more():
    values = scores(draw(20, D, D))
    assert (values["circulant"] < values["toeplitz"]).all()
    assert (values["toeplitz"] < values["block_toeplitz"]).all()


@pytest.mark.parametrize("size", [2, 3, 6])
def test_scale_levels_are_the_quadrants_and_the_blocks_beyond(size):
    ones = torch.ones(size, size, dtype=torch.float64)
    quadrants, blocks = scale_levels(torch.stack([ones.kron(ones), draw(size, size).kron(ones)]))
    assert (quadrants + blocks).tolist() == pytest.approx([1, 1])
    assert blocks[0] == pytest.approx(0, abs=1e-12)
    assert size == 2 or blocks[1] > 0.05


def test_block_concentration_counts_as_many_blocks_as_a_side_has():
    """Equal shares 0, n blocks 1, and in between in proportion."""
    ones = torch.ones(3, 3, dtype=torch.float64)
    energies = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 1, 1]], dtype=torch.float64)
    matrices = torch.stack([ones.kron(ones), torch.eye(3).double().kron(ones), energies.kron(ones)])
    assert structures.block_concentration(matrices).tolist() == pytest.approx([0, 1, 0.25])


def test_orthogonality_is_the_distance_to_the_polar_factor():
    matrix = draw(D, D)
    u, sigma, vh = torch.linalg.svd(matrix)
    distance = (matrix - sigma.mean() * u @ vh).norm() / matrix.norm()
    assert float(structures.orthogonality(matrix)) == pytest.approx(1 - float(distance))


def test_a_matrix_need_not_act_on_squares_to_be_toeplitz():
    assert structures.toeplitz(torch.ones(5, 5)) == 1
    with pytest.raises(ValueError, match=r"d = n\*n rows, got \(5, 5\)"):
        scores(torch.ones(5, 5))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 0)])
def test_only_square_matrices(shape):
    with pytest.raises(ValueError, match=r"square matrices \(..., d, d\), got \(" + str(shape[0])):
        scores(torch.ones(shape))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_only_finite_matrices(bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        scores(torch.full((4, 4), bad))
