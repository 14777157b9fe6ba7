"""Figures as files, and what the room imports."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import lgn_hf.plotting as plots
from tests.support.figures import DIM, SIZE, random


def test_a_figure_is_written_as_a_png_of_its_size(tmp_path):
    figure = plots.orbit_plot(random(SIZE, SIZE), random(DIM, DIM), 2)
    path = plots.save_figure(figure, tmp_path / "new" / "orbit.png", dpi=50)
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_allclose(image.size, 50 * figure.get_size_inches(), atol=1)
        colours = image.convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 10
    assert [p.name for p in path.parent.iterdir()] == ["orbit.png"]


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    figure = plots.filter_plot(random(1, 1, 1, SIZE, SIZE))
    figure.text(0.5, 0.5, "$\\nosuchcommand$")
    with pytest.raises(ValueError, match="nosuchcommand"):
        plots.save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


@pytest.mark.slow
def test_neither_pyplot_nor_transformers_is_imported():
    code = "import sys, lgn_hf.plotting; sys.exit('matplotlib.pyplot' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
