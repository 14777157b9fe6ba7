"""Small pictures of a matrix and of an orbit, pixel by pixel."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from lgn_hf import Actions
from lgn_hf.plotting import MOST_POWERS, matrix_thumbnail, orbit_thumbnail

RED, WHITE, BLUE = (tuple(colormaps["RdBu_r"](place, bytes=True)[:3]) for place in (255, 128, 0))


def test_a_matrix_is_coloured_about_zero_with_lines_between_its_blocks():
    matrix = torch.zeros(4, 4)
    matrix[0, 0], matrix[3, 0], matrix[0, 3] = 2.0, -2.0, 1.0
    picture = matrix_thumbnail(matrix)
    assert picture.size == (216, 216)
    assert [picture.getpixel(place) for place in ((5, 5), (5, 210), (60, 60))] == [RED, BLUE, WHITE]
    assert picture.getpixel((210, 5)) not in (RED, WHITE, BLUE)
    line = [x for x in range(216) if picture.getpixel((x, 60)) != WHITE]
    assert line == [108]  # between blocks of 2 x 2


@pytest.mark.parametrize(("dim", "side"), [(9, 24), (16, 14), (4, 54)])
def test_every_cell_is_a_rectangle_of_one_colour(dim, side):
    pixels = np.asarray(matrix_thumbnail(torch.randn(dim, dim)))
    cells = pixels.reshape(dim, side, dim, side, 3)[:, 1:, :, 1:]
    assert (cells == cells[:, :1, :, :1]).all()


@pytest.mark.parametrize(("channels", "order", "size"), [(1, 3, 3), (1, 6, 4), (3, 3, 3)])
def test_an_orbit_is_one_row_per_channel_that_shares_the_action(channels, order, size):
    basis = torch.randn(1, 1, channels, size, size)
    action = Actions(torch.randn(1, 1, 1, size**2, size**2), order, basis=basis)[0, 0, 0]
    picture = orbit_thumbnail(action)
    side = size * round(54 / size)
    width, height = side * order + 6 * (order - 1), side * channels + 6 * (channels - 1)
    assert picture.size == (width, height)
    last = action.orbit().reshape(-1, order, size, size)[-1, -1]
    i, j = divmod(int(last.abs().argmax()), size)
    corner = (width - side + j * side // size, height - side + i * side // size)
    assert picture.getpixel(corner) == (RED if last[i, j] > 0 else BLUE)


def test_a_long_orbit_ends():
    actions = Actions(torch.eye(4)[None, None, None], 1000, basis=torch.ones(1, 1, 1, 2, 2))
    assert orbit_thumbnail(actions[0, 0, 0]).width == MOST_POWERS * 60 - 6


def test_a_matrix_of_zeros_is_white():
    assert matrix_thumbnail(torch.zeros(4, 4)).getpixel((5, 5)) == WHITE
