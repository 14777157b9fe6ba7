"""The picture that stands for a Space, and the tags by which others find it."""

import pytest
import torch
from huggingface_hub import SpaceCard
from PIL import Image

from lgn_hf import Actions
from lgn_hf.hub.page_head import page_head
from lgn_hf.hub.preview import draw_preview
from lgn_hf.hub.space import build_space
from tests.conftest import ROOT

MODEL = [(str(ROOT / "model_cards" / "lgn-mnist"), None)]


@pytest.mark.slow
def test_every_kind_of_model_has_a_picture_of_1200_by_630_pixels(tmp_path):
    bare = Actions(torch.randn(1, 1, 1, 4, 4), 3)
    free = Actions(torch.eye(9).view(1, 1, 1, 9, 9), 1, basis=torch.randn(1, 1, 1, 3, 3))
    colour = Actions(torch.randn(2, 2, 1, 9, 9), 9, basis=torch.randn(2, 2, 3, 3, 3))
    for number, models in enumerate([[bare], [free], [colour, free, bare]]):
        path = draw_preview(models, "A $title$ of words", ["One line."], tmp_path / f"{number}.png")
        with Image.open(path) as picture:
            assert picture.size == (1200, 630)


def test_a_space_has_a_picture_and_says_where_it_is(tmp_path):
    made = build_space(MODEL, tmp_path, space="me/My.Atlas")
    assert made.files == ["index.html", "README.md", "preview.png"]
    address = "https://huggingface.co/spaces/me/My.Atlas/resolve/main/preview.png"
    assert SpaceCard.load(tmp_path / "README.md").data.to_dict()["thumbnail"] == address
    page = (tmp_path / "index.html").read_text()
    assert '<meta property="og:image" content="https://me-my-atlas.static.hf.space/preview.png">' in page

    assert build_space(MODEL, tmp_path).files == ["index.html", "README.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "index.html"]
    assert "thumbnail" not in SpaceCard.load(tmp_path / "README.md").data.to_dict()
    assert "og:image" not in (tmp_path / "index.html").read_text()


def test_the_head_holds_texts_and_no_markup():
    head = page_head('a "<b>"', "c & d")
    assert "<title>a &quot;&lt;b&gt;&quot;</title>" in head
    assert '<meta property="og:description" content="c &amp; d">' in head
