"""The atlas: one self-contained page on which to look at the actions of trained models, and to act with them.

`index.html` is the template `atlas.html` with the models in it as JSON. It needs no server and loads nothing, so it works
from a disk and as a static Space. `README.md` is the card of the Space.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCard, SpaceCardData

from ..files import Output, write_whole
from ..runs.trained_model import TrainedModel
from .atlas_document import atlas_document, atlas_title, count_text, unique_names

PAGE_NAME, CARD_NAME = "index.html", "README.md"
TEMPLATES = Path(__file__).with_name("templates")
PAGE_TEMPLATE, CARD_TEMPLATE = TEMPLATES / "atlas.html", TEMPLATES / "space.md.jinja"
PLACEHOLDER = "ATLAS_DATA"
OUTPUT = Output((PAGE_NAME, CARD_NAME, "style.css"), PAGE_NAME, '<meta name="generator" content="lgn-hf atlas">')
MAX_MEGABYTES = 50  # of the page: what a browser opens at once, on a phone too


def build_atlas(sources: Sequence[TrainedModel], out_dir: str | os.PathLike) -> Path:
    """Write the page and the card of its Space, `index.html` and `README.md`, each whole or not at all.

    Args:
        sources: the models, in the order in which the page lists them. Of the same name, the later ones are numbered.
        out_dir: new, empty, or an earlier atlas, which is replaced.

    Returns:
        `out_dir`.

    Raises:
        ValueError: there is no model, the page would be too large for a browser, or `out_dir` holds something else.

    Example:
        >>> from tempfile import mkdtemp
        >>> from lgn_hf.runs.trained_model import open_trained_model
        >>> folder = build_atlas([open_trained_model("model_cards/lgn-mnist")], mkdtemp())
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'index.html']
    """
    if not sources:
        raise ValueError("an atlas shows at least one model: none was given")
    out_dir = Path(out_dir)
    OUTPUT.check(out_dir)
    before, placeholder, after = PAGE_TEMPLATE.read_text(encoding="utf-8").partition(PLACEHOLDER)
    assert placeholder, PAGE_TEMPLATE
    page = (before + _script_safe(atlas_document(sources)) + after).encode()
    if len(page) > MAX_MEGABYTES * 10**6:
        raise ValueError(
            f"the page of {count_text(len(sources), 'model')} would have {len(page) / 1e6:.0f} MB, most of it matrices; "
            f"at most {MAX_MEGABYTES} MB: choose fewer models, or models with smaller filters"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(out_dir / PAGE_NAME, page)
    write_whole(out_dir / CARD_NAME, _card(sources))
    return out_dir


def _script_safe(document: dict[str, Any]) -> str:
    """JSON that cannot end a script element and means the same in HTML: ASCII, without <, > and &."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _card(sources: Sequence[TrainedModel]) -> str:
    repositories = [source.name for source in sources if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source.name, re.ASCII)]
    title = atlas_title(sources)
    metadata = SpaceCardData(
        title=title,
        emoji="🧭",
        colorFrom="blue",
        colorTo="red",
        sdk="static",
        app_file=PAGE_NAME,
        pinned=False,
        license="apache-2.0",
        short_description="Look at learned group actions, and act with them",
        tags=["linear-group-networks", "group-actions", "interpretability", "image-classification"],
        models=repositories or None,
    )
    names = [name.replace("`", "'") for name in unique_names(sources)]
    card = SpaceCard.from_template(
        metadata, template_path=str(CARD_TEMPLATE), title=_without_markup(title), names=names
    )
    return f"{str(card).rstrip()}\n"


def _without_markup(text: str) -> str:
    """The text for Markdown, which shows every character of it."""
    return re.sub(r"([\\`*_{}\[\]<>()#!|&])", r"\\\1", text)
