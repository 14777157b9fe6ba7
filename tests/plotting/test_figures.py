"""Figures: what is in the artists is what was given."""

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

import lgn_hf.plotting as plots
from lgn_hf.model.filters import rotation_matrix, unvec, vec
from tests.support.figures import DIM, SIZE, images, names, random, texts, values

EXACT = {"rtol": 0, "atol": 1e-12}


def lines(ax, label) -> list[np.ndarray]:
    """The points of the lines of one label, complex."""
    return [line.get_xdata() + 1j * np.asarray(line.get_ydata()) for line in ax.lines if line.get_label() == label]


def shows(image, expected):
    """The image holds exactly these values, in colours symmetric about zero that reach its largest entry."""
    np.testing.assert_allclose(values(image), expected, **EXACT)
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(float(expected.abs().max()))


# Gallery


def test_the_gallery_has_one_image_for_each_action_in_order():
    A = random(2, 3, DIM, DIM)
    figure = plots.action_gallery(A, names(6), [f"score {i}" for i in range(6)])
    assert len(images(figure)) == 6
    for image, matrix in zip(images(figure), A.flatten(0, 1), strict=True):
        shows(image, matrix)
    assert {*names(6), *(f"score {i}" for i in range(6))} <= set(texts(figure))


def test_the_gallery_rules_the_block_grid():
    figure = plots.action_gallery(random(1, 16, 16), ["A"], size=4)
    segments = np.concatenate([c.get_segments() for c in images(figure)[0].axes.collections])
    starts = sorted(tuple(segment[0]) for segment in segments)
    assert starts == sorted([(p, -0.5) for p in (3.5, 7.5, 11.5)] + [(-0.5, p) for p in (3.5, 7.5, 11.5)])


def test_a_zero_matrix_is_drawn_in_the_colour_of_zero():
    (image,) = images(plots.action_gallery(torch.zeros(1, DIM, DIM), ["0"]))
    assert image.get_clim() == (-1, 1)


def test_tensors_of_any_precision_that_require_gradients_are_drawn():
    A = random(DIM, DIM).bfloat16().requires_grad_()
    shows(images(plots.action_gallery(A, ["A"]))[0], A.detach().double())


# Orbits


@pytest.mark.parametrize(("order", "continued_to", "count"), [(4, None, 8), (4, 9, 10), (4, 3, 4), (12, 13, 14)])
def test_the_orbit_shows_the_powers_and_marks_those_past_the_order(order, continued_to, count):
    W, A = random(SIZE, SIZE), rotation_matrix(SIZE, 90)
    drawn = images(plots.orbit_plot(W, A, order, continued_to))
    assert len(drawn) == count
    for i, image in enumerate(drawn):
        shows(image, torch.rot90(W, i))
        past = to_rgb(image.axes.spines["left"].get_edgecolor()) == to_rgb(plots.MARK)
        assert past == (i >= order)
        assert len(image.axes.lines) == (i == order)  # the bar stands before the first of them


@pytest.mark.slow
def test_the_cosine_comes_back_to_one_where_the_group_closes():
    figure = plots.orbit_plot(random(SIZE, SIZE), 0.5 * rotation_matrix(SIZE, 90), 4, 4)
    norm, cosine = texts(figure)[texts(figure).index("$A^{4}W$") + 1].split("\n")
    assert float(norm) == pytest.approx(0.5**4 * random(SIZE, SIZE).norm().item(), rel=0.05)
    assert cosine == "+1.00"


def test_several_orbits_stand_below_each_other():
    W, A = random(2, SIZE, SIZE), random(2, DIM, DIM)
    figure = plots.orbit_plot(W, A, 2, 1, titles=["first", "second"])
    for image, (r, i) in zip(images(figure), [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        shows(image, unvec(torch.linalg.matrix_power(A[r], i) @ vec(W[r]), SIZE))
    assert {"first", "second"} <= set(texts(figure))


# Effects


@pytest.mark.parametrize(("actions", "patches"), [(1, 2), (2, 1), (4, 1), (1, 0)])
def test_effects_are_the_actions_applied_to_the_identity_and_the_patches(actions, patches):
    A, P = random(actions, DIM, DIM), random(max(patches, 1), SIZE, SIZE)[:patches]
    inputs = torch.cat([torch.eye(SIZE, dtype=torch.float64)[None], P])
    table = [[None, *inputs]] + [[a, *(unvec(a @ vec(x), SIZE) for x in inputs)] for a in A]
    if actions > len(inputs):
        table = zip(*table, strict=True)
    expected = [cell for row in table for cell in row if cell is not None]
    drawn = images(plots.effect_plot(A, P if patches else None))
    for image, matrix in zip(drawn, expected, strict=True):
        shows(image, matrix)


# Spectra


def test_the_roots_of_unity_and_the_eigenvalues_are_where_they_belong():
    A = random(2, DIM, DIM)
    figure = plots.spectrum_plot(A, 5, names(2), remove_scale=False)
    for ax, matrix in zip(figure.axes, A, strict=True):
        (roots,) = lines(ax, "roots of unity")
        np.testing.assert_allclose(roots**5, np.ones(5), **EXACT)
        assert abs(roots[:, None] - roots[None]).sum() > 1
        assert len(set(np.round(roots, 6))) == 5
        (circle,) = lines(ax, "unit circle")
        np.testing.assert_allclose(abs(circle), 1, **EXACT)
        (drawn,) = lines(ax, "eigenvalues")
        np.testing.assert_allclose(drawn, torch.linalg.eigvals(matrix), **EXACT)
        assert ax.get_aspect() == 1


def test_removing_the_scale_puts_a_cyclic_action_on_the_roots():
    (ax,) = plots.spectrum_plot(0.01 * rotation_matrix(SIZE, 90), 4).axes
    np.testing.assert_allclose(lines(ax, "eigenvalues")[0] ** 4, np.ones(DIM), rtol=0, atol=1e-10)


def test_complex_input_is_taken_as_eigenvalues():
    eigenvalues = torch.tensor([1, 1j, -1, -0.5j], dtype=torch.complex64)
    (ax,) = plots.spectrum_plot(eigenvalues, 4).axes
    np.testing.assert_allclose(lines(ax, "eigenvalues")[0], [1, 1j, -1, -0.5j], **EXACT)
    assert lines(ax, "further out") == []


def test_a_far_eigenvalue_is_pointed_at_from_the_edge():
    figure = plots.spectrum_plot(torch.tensor([1j, -1j, -1, 30 + 0j]), 4)
    (ax,) = figure.axes
    (pointer,) = lines(ax, "further out")[0]
    assert 1 < pointer.real < ax.get_xlim()[1] == 2
    assert pointer.imag == 0
    assert "scale 1\nmax |λ| 30" in texts(figure)


def test_a_nilpotent_action_has_its_eigenvalues_at_zero():
    (ax,) = plots.spectrum_plot(torch.triu(torch.ones(4, 4), 1), 3).axes
    np.testing.assert_allclose(lines(ax, "eigenvalues")[0], 0, **EXACT)


def test_singular_values_are_drawn_on_a_logarithmic_scale():
    A = random(2, DIM, DIM)
    figure = plots.singular_value_plot(A, ["first", "second"])
    (ax,) = figure.axes
    assert ax.get_yscale() == "log"
    for line, matrix in zip(ax.lines, A, strict=True):
        np.testing.assert_allclose(line.get_ydata(), torch.linalg.svdvals(matrix), **EXACT)
        np.testing.assert_array_equal(line.get_xdata(), range(1, DIM + 1))
    assert ax.lines[0].get_color() != ax.lines[1].get_color()


def test_actions_of_one_label_share_a_colour_and_have_a_median():
    A = random(3, DIM, DIM)
    figure = plots.singular_value_plot(A, ["layer 1"] * 3)
    *each, median = figure.axes[0].lines
    assert len(each) == 3
    assert len({line.get_color() for line in (*each, median)}) == 1
    np.testing.assert_allclose(median.get_ydata(), np.median(torch.linalg.svdvals(A), axis=0), **EXACT)


def test_the_legend_gives_the_condition_number():
    figure = plots.singular_value_plot(torch.diag(torch.tensor([50.0, 2.0, 1.0])), ["A"])
    assert "A (condition 50)" in texts(figure)


def test_a_singular_action_has_finite_points():
    (line,) = plots.singular_value_plot(torch.diag(torch.tensor([2.0, 1.0, 0.0]))).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [2, 1, 2e-16], rtol=1e-10)


# Fourier transform


def test_the_transform_of_a_circulant_action_is_diagonal():
    column = random(DIM)
    A = torch.stack([torch.stack([column.roll(i) for i in range(DIM)], dim=1), random(DIM, DIM)])
    F = np.exp(-2j * np.pi * np.outer(range(DIM), range(DIM)) / DIM)
    figure = plots.dft_plot(A, ["circulant", "random"])
    above, below = images(figure)[:2], images(figure)[2:]
    for image, matrix in zip(above, A, strict=True):
        shows(image, matrix)
    for image, matrix in zip(below, A, strict=True):
        np.testing.assert_allclose(values(image), abs(F @ matrix.numpy() @ np.linalg.inv(F)), rtol=0, atol=1e-10)
        assert image.get_clim()[0] == 0
    assert abs(values(below[0]) - np.diag(np.diag(values(below[0])))).max() < 1e-10
    assert "100.0% on the diagonal" in texts(figure)


# Codes and filters


@pytest.mark.parametrize("order", [None, 2])
def test_every_code_map_is_a_tile(order):
    codes = [random(6, 4, 5).relu(), 2 * random(6, 4, 5).relu()]
    figure = plots.code_plot(random(3, 7, 8), codes, order)
    picture, *montages = images(figure)
    assert values(picture).shape == (7, 8, 3)
    assert (values(picture).min(), values(picture).max()) == (0, 1)
    columns = order or math.ceil(math.sqrt(6))
    for image, code in zip(montages, codes, strict=True):
        tiled = values(image)
        for f in range(6):
            row, column = 5 * (f // columns), 6 * (f % columns)
            np.testing.assert_allclose(tiled[row : row + 4, column : column + 5], code[f], **EXACT)
        assert image.get_clim() == (0, code.max())
        assert image.get_array().mask.sum() == tiled.size - code.numel()  # only the lines between the tiles
        assert len(image.axes.get_yticks()) == (3 if order else 0)


def test_the_share_of_non_zero_codes_is_written():
    code = torch.zeros(2, 2, 2)
    code[0, 0, 0] = 1
    assert "12.5% non-zero" in texts(plots.code_plot(torch.eye(4), [code]))


def test_a_column_of_filters_is_a_group():
    bank = random(3, 2, 1, SIZE, SIZE)
    drawn = images(plots.filter_plot(bank))
    for image, (i, k) in zip(drawn, np.ndindex(2, 3), strict=True):
        shows(image, bank[k, i, 0])
    left = np.array([image.axes.get_position().x0 for image in drawn])
    np.testing.assert_allclose(left[:3], left[3:], **EXACT)
    assert (np.diff(left[:3]) > 0).all()


def test_rows_of_filters_have_the_names_of_what_made_them():
    bank = random(3, 2, 1, SIZE, SIZE)
    written = [image.axes.get_ylabel() for image in images(plots.filter_plot(bank, ["0°", "60°"]))]
    assert written == ["0°", "", "", "60°", "", ""]


def test_colour_filters_have_grey_at_zero():
    bank = random(1, 2, 3, SIZE, SIZE)
    for image, filters in zip(images(plots.filter_plot(bank)), bank[0], strict=True):
        expected = filters / (2 * filters.abs().max()) + 0.5
        np.testing.assert_allclose(values(image), expected.permute(1, 2, 0), **EXACT)


@pytest.mark.slow
def test_more_groups_than_fit_go_on_below():
    assert len(images(plots.filter_plot(random(13, 1, 1, SIZE, SIZE)))) == 13


# Symmetries that were found


def test_found_actions_stand_beside_their_operations():
    A, B = random(2, DIM, DIM), rotation_matrix(SIZE, 90)
    figure = plots.found_action_plot(A, [B, None], names(2), ["turn", ""])
    first, operation, second = images(figure)
    shows(first, A[0])
    shows(operation, B)
    shows(second, A[1])
    assert {*names(2), "turn"} <= set(texts(figure))


def test_atoms_are_tiles_scaled_to_their_largest_entry():
    atoms = random(25, DIM)
    (image,) = images(plots.atom_gallery(atoms))
    tiled = values(image)
    for i, atom in enumerate(atoms):
        row, column = (SIZE + 1) * (i // 20), (SIZE + 1) * (i % 20)
        tile = tiled[row : row + SIZE, column : column + SIZE]
        np.testing.assert_allclose(tile, unvec(atom / atom.abs().max(), SIZE), **EXACT)


@pytest.mark.parametrize("channels", [1, 3])
def test_matched_atoms_are_the_atom_its_image_and_its_match(channels):
    atoms, A = random(6, channels * DIM), random(channels * DIM, channels * DIM)
    permutation = torch.tensor([1, 2, 3, 4, 5, 0])
    figure = plots.matched_atom_plot(atoms, A, permutation, [4, 0])
    drawn = images(figure)
    expected = [*atoms[[4, 0]], *(atoms[[4, 0]] @ A.T), *atoms[[5, 1]]]
    for image, vector in zip(drawn, expected, strict=True):
        planes = unvec(vector.unflatten(0, (channels, DIM)), SIZE)
        if channels == 1:
            shows(image, planes[0])
        else:
            np.testing.assert_allclose(
                values(image), (planes / (2 * planes.abs().max()) + 0.5).permute(1, 2, 0), **EXACT
            )
    cosine = torch.nn.functional.cosine_similarity(A @ atoms[4], atoms[5], dim=0)
    assert plots.number_text(cosine, signed=True) in texts(figure)


def test_the_null_is_a_histogram_with_a_line_for_each_found_action():
    figure = plots.null_plot({2: [0.5, 0.6, 0.6], 3: [0.7]}, {2: [0.1, 0.2]}, {2: 0.1, 3: 0.65})
    second, third = figure.axes
    assert sum(bar.get_height() for bar in second.patches) == 3
    assert [line.get_xdata()[0] for line in second.lines] == [0.1, 0.2]
    assert [line.get_xdata()[0] for line in third.lines] == [0.65]
    assert {"found", "best of the data, not found", "order 2", "order 3"} <= set(texts(figure))
