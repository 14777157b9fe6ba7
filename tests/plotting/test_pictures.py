"""The programs in docs/pictures draw what docs/images holds."""

import runpy
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = {"orbits": "orbits_picture", "how_it_works": "network_picture"}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.slow
def test_a_program_draws_the_committed_picture(name):
    program = runpy.run_path(str(DOCS / "pictures" / f"{name}.py"))
    figure = program[PROGRAMS[name]]()
    figure.canvas.draw()
    path: Path = program["OUTPUT"]
    assert path.parent == DOCS / "images"
    assert path.stat().st_size < 200_000
    with Image.open(path) as image:
        assert image.width == 1600
        assert image.size == pytest.approx(program["DPI"] * figure.get_size_inches(), abs=1)
