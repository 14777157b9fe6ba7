"""Wrong arguments raise one clear message."""

import math

import pytest
import torch
from matplotlib.figure import Figure

import lgn_hf.plotting as plots
from tests.support.figures import DIM, names, random

NAN = random(DIM, DIM).index_fill(0, torch.tensor([2]), math.nan)
ERRORS = {
    "not square": (lambda: plots.action_gallery(random(2, 9, 8), names(2)), r"matrices of shape \(2, 9, 8\)"),
    "a vector": (lambda: plots.singular_value_plot(random(9)), r"matrices of shape \(9,\)"),
    "nothing": (lambda: plots.singular_value_plot(random(0, 9, 9)), r"matrices of shape \(0, 9, 9\)"),
    "NaN": (lambda: plots.spectrum_plot(NAN, 4), "matrices: some entries are NaN or infinite"),
    "infinity": (lambda: plots.filter_plot(random(1, 1, 1, 3, 3) / 0), "filters: some entries are NaN or infinite"),
    "complex": (lambda: plots.dft_plot(random(9, 9) * 1j, names(1)), "must be real"),
    "NaN eigenvalues": (lambda: plots.spectrum_plot(torch.tensor([1j, math.nan]), 2), "the eigenvalues: some"),
    "not n squared": (lambda: plots.action_gallery(random(8, 8), names(1)), "8 x 8; an action on n x n filters"),
    "wrong size": (lambda: plots.action_gallery(random(9, 9), names(1), size=4), "9 x 9 and size=4"),
    "titles": (lambda: plots.action_gallery(random(2, 9, 9), names(3)), "3 titles for 2 panels"),
    "captions": (lambda: plots.action_gallery(random(2, 9, 9), names(2), names(1)), "1 captions for 2 panels"),
    "one text": (lambda: plots.dft_plot(random(9, 9), "A"), "'A' titles for 1 panels"),
    "basis": (lambda: plots.orbit_plot(random(4, 4), random(9, 9), 2), "9 x 9, but basis filters of 4 x 4"),
    "bases": (lambda: plots.orbit_plot(random(3, 3, 3), random(2, 9, 9), 2), "2 matrices for 3 basis filters"),
    "order": (lambda: plots.spectrum_plot(random(9, 9), 0), "order=0; expected a whole number"),
    "powers": (lambda: plots.orbit_plot(random(3, 3), random(9, 9), 4, 2), "continued_to=2 stops before"),
    "growth": (lambda: plots.orbit_plot(random(3, 3), 1e200 * random(9, 9), 4), "the powers of the matrix: some"),
    "patches": (lambda: plots.effect_plot(random(9, 9), random(4, 4)), "9 x 9, but patches of 4 x 4"),
    "labels": (lambda: plots.singular_value_plot(random(9, 9, 9), names(9)), "9 different labels; at most 7"),
    "channels": (lambda: plots.filter_plot(random(1, 1, 2, 3, 3)), "filters of 2 channels; 1 or 3"),
    "filters": (lambda: plots.filter_plot(random(1, 1, 3, 3)), r"filters of shape \(1, 1, 3, 3\); expected"),
    "image": (lambda: plots.code_plot(random(2, 4, 4), [random(1, 2, 2)]), r"image of shape \(2, 4, 4\); expected"),
    "codes": (lambda: plots.code_plot(random(4, 4), [random(1, 1, 2, 2)]), r"code 1 of shape \(1, 1, 2, 2\)"),
    "no codes": (lambda: plots.code_plot(random(4, 4), []), "no codes"),
    "groups": (lambda: plots.code_plot(random(4, 4), [random(6, 2, 2)], 4), "6 code maps are not whole groups"),
    "found titles": (
        lambda: plots.found_action_plot(random(2, 9, 9), [None, None], names(1), names(2)),
        "1 titles for 2 panels",
    ),
    "found operations": (
        lambda: plots.found_action_plot(random(2, 9, 9), [None], names(2), names(2)),
        "1 operations for 2 actions",
    ),
    "atoms": (lambda: plots.atom_gallery(random(5, 8)), "atoms of 8 entries: must be n"),
    "matched atoms": (
        lambda: plots.matched_atom_plot(random(5, 9), random(4, 4), range(5), [0]),
        "matrices are 4 x 4",
    ),
    "no null": (lambda: plots.null_plot({}, {}), "0 orders of null values"),
    "NaN null": (lambda: plots.null_plot({2: [math.nan]}, {}), "1 orders of null values; expected one list of finite"),
    "format": (lambda: plots.save_figure(Figure(), "figure.jpg"), "written as .png, not as 'figure.jpg'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_wrong_arguments_raise_one_clear_message(name):
    draw, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        draw()
