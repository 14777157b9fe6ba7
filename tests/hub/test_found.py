"""The page of what was found: its numbers are those of the search, and a browser shows them in order."""

import base64

import numpy as np
import pytest
import torch

from lgn_hf.discovery import report
from lgn_hf.discovery.result import Discovery, FoundAction
from lgn_hf.hub.found import FOUND_TEMPLATES, build_found, found_document
from lgn_hf.hub.space import build_space
from lgn_hf.model.filters import rotation_matrix
from tests.conftest import ROOT

HOSTILE = "</script><b>digits</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A search that found the quarter turn of four random filters, and nothing of order 3."""
    matrix = rotation_matrix(3, 90)
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(5, 9, generator=generator, dtype=torch.float64)
    atoms = torch.cat([first @ torch.linalg.matrix_power(matrix, power).T for power in range(4)])
    atoms += 0.1 * torch.rand(20, 1, generator=generator) * torch.randn(20, 9, generator=generator)
    permutation = (torch.arange(20) + 5) % 20
    action = FoundAction(matrix, permutation, 4, 0.012, 0.02, 1e-6)
    null = {3: [0.4, 0.5, 0.45], 4: [0.31, 0.35, 0.4, 0.42]}
    found = Discovery([action], None, True, "", 20, 9, 0.01, (3, 4), null, {3: 0.44, 4: 0.02})
    path = tmp_path_factory.mktemp("found") / "search"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_figures", lambda *arguments: [])  # which takes seconds
        report.write_report(path, found, atoms, HOSTILE)
    return path, atoms, matrix, permutation


def test_the_numbers_are_those_of_the_search(folder):
    path, atoms, matrix, permutation = folder
    document = found_document(path)
    (action,) = document["actions"]
    expected = (atoms @ matrix.float().double().T - atoms[permutation]).norm(dim=1) / atoms[permutation].norm(dim=1)
    assert [pair[:2] for pair in action["pairs"]] == [[k, (k + 5) % 20] for k in range(20)]
    assert [pair[2] for pair in action["pairs"]] == pytest.approx(expected.tolist(), rel=1e-5)
    moved = np.frombuffer(base64.b64decode(action["moved"]), "<f4").reshape(20, 9)
    np.testing.assert_allclose(moved, (atoms @ matrix.T).numpy(), rtol=1e-5, atol=1e-6)
    assert action["nearest"] == "rotation by 90 degrees"
    assert (document["side"], document["channels"]) == (3, 1)


def test_what_is_no_search_is_refused(tmp_path, folder):
    with pytest.raises(ValueError, match="is not an output of lgn-hf discover"):
        build_found([ROOT / "docs"], tmp_path)
    (tmp_path / "discovery.json").write_text("[]")
    (tmp_path / "dictionary.safetensors").write_bytes((folder[0] / "dictionary.safetensors").read_bytes())
    with pytest.raises(ValueError, match="is not an output of lgn-hf discover"):
        build_found([tmp_path], tmp_path)


@pytest.mark.slow
def test_a_visitor_sorts_the_atoms_and_sees_the_null(browser, folder, axe, tmp_path):
    path, *_ = folder
    space = build_space([(str(ROOT / "model_cards" / "lgn-mnist"), None)], tmp_path / "space", None, [path, path])
    assert space.pages == ["index.html", "found.html"]
    wrong = []
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
    page.goto((tmp_path / "space" / "index.html").as_uri())
    page.get_by_role("link", name="What was found in data").click()

    def residuals():
        return [float(text) for text in page.locator("td.residual").all_inner_texts()]

    expected = sorted(pair[2] for pair in found_document(path)["actions"][0]["pairs"])
    assert residuals() == pytest.approx(expected, rel=6e-3)
    assert axe(page) == []
    page.emulate_media(color_scheme="dark")
    assert axe(page) == []
    page.get_by_role("button", name="residual").press("Enter")
    assert residuals() == pytest.approx(expected[::-1], rel=6e-3)
    assert page.locator("#by-residual").get_attribute("aria-sort") == "descending"
    assert "Found: mismatch 0.02. Of 4 searches without symmetry, 0 ended as low" in page.locator("#null").inner_text()
    page.locator("#choice").select_option("order 3: not found")
    assert (
        "The best of the data: mismatch 0.44. Of 3 searches without symmetry, 1 ended as low"
        in page.locator("#null").inner_text()
    )
    assert page.locator("#pairs").is_hidden()
    assert page.locator("#search option").all_inner_texts() == [HOSTILE, f"{HOSTILE} (2)"]
    page.locator("#choice").select_option(index=0)
    for width in (390, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (
            page.evaluate(
                "document.querySelector('.scroll').scrollWidth - document.querySelector('.scroll').clientWidth"
            )
            <= 0
        )
    assert not wrong
    context.close()


def test_modules_write_no_markup():
    for path in FOUND_TEMPLATES.glob("*.js"):
        assert "innerHTML" not in path.read_text()
