"""The atlas: one self-contained page on which to look at the actions of trained models, and to act with them.

`index.html` is the template `atlas.html` with the models in it as JSON. It needs no server and loads nothing, so it works
from a disk and as a static Space. `README.md` is the card of the Space. `lab.html` may be beside it, see `lab/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import SpaceCard, SpaceCardData, hf_hub_url

from ..files import Output, write_whole
from ..runs.trained_model import TrainedModel
from .atlas_document import atlas_document, atlas_title, count_text, numbered
from .embedding import TEMPLATES, fill, script_safe
from .found import FOUND_PAGE
from .lab.page import FILES, LAB_PAGE
from .page_head import page_head
from .space_address import PREVIEW_NAME

PAGE_NAME, CARD_NAME = "index.html", "README.md"
PAGE_TEMPLATE, CARD_TEMPLATE = TEMPLATES / "atlas.html", TEMPLATES / "space.md.jinja"
TITLE = "Atlas of learned actions"
DESCRIPTION = "The group actions that linear group networks learned: look at them, and act with them."
LINKS = {  # to the pages that may be beside the atlas
    LAB_PAGE: "Try these models in the lab</a>: draw a digit, turn it, and watch the filters answer.",
    FOUND_PAGE: "What was found in data</a>: symmetries, and the atoms that they permute.",
}
OUTPUT = Output(
    (PAGE_NAME, CARD_NAME, "style.css", PREVIEW_NAME, LAB_PAGE, FOUND_PAGE, f"{FILES}/*.js"),
    PAGE_NAME,
    '<meta name="generator" content="lgn-hf atlas">',
)
MAX_MEGABYTES = 50  # of the page: what a browser opens at once, on a phone too


def build_atlas(
    sources: Sequence[TrainedModel],
    out_dir: str | os.PathLike,
    *,
    beside: Sequence[str] = (),
    space: str | None = None,
) -> Path:
    """Write the page and the card of its Space, `index.html` and `README.md`, each whole or not at all.

    Args:
        sources: the models, in the order in which the page lists them. Of the same name, the later ones are numbered.
        out_dir: new, empty, or an earlier atlas, which is replaced.
        beside: the pages beside it to link to, of those in `LINKS`.
        space: the static Space, USER/NAME, that it is made for, see `page_head`.

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
    page = fill(
        PAGE_TEMPLATE,
        PAGE_HEAD=page_head(TITLE, DESCRIPTION, space),
        PAGE_LINKS="\n  ".join(f'<p><a href="{page}">{LINKS[page]}</p>' for page in beside),
        ATLAS_DATA=script_safe(atlas_document(sources)),
    ).encode()
    if len(page) > MAX_MEGABYTES * 10**6:
        raise ValueError(
            f"the page of {count_text(len(sources), 'model')} would have {len(page) / 1e6:.0f} MB, most of it matrices; "
            f"at most {MAX_MEGABYTES} MB: choose fewer models, or models with smaller filters"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_whole(out_dir / PAGE_NAME, page)
    write_space_card(out_dir, [source.name for source in sources], atlas_title(sources), space=space)
    return out_dir


def write_space_card(
    folder: Path,
    models: Sequence[str],
    title: str,
    *,
    has_atlas: bool = True,
    has_lab: bool = False,
    space: str | None = None,
) -> None:
    """Write `README.md` of a static Space whose first page is `index.html`.

    Args:
        folder: of the Space.
        models: their names.
        title: of the Space.
        has_atlas: whether it shows actions.
        has_lab: whether it has a lab.
        space: its name, USER/NAME. Its picture is then that of `draw_preview`.
    """
    repositories = [name for name in models if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII)]
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
        thumbnail=space and hf_hub_url(space, PREVIEW_NAME, repo_type="space"),
    )
    names = [name.replace("`", "'") for name in numbered(models)]
    card = SpaceCard.from_template(
        metadata,
        template_path=str(CARD_TEMPLATE),
        title=_without_markup(title),
        names=names,
        has_atlas=has_atlas,
        lab=LAB_PAGE if has_lab else None,
    )
    write_whole(folder / CARD_NAME, f"{str(card).rstrip()}\n")


def _without_markup(text: str) -> str:
    """The text for Markdown, which shows every character of it."""
    return re.sub(r"([\\`*_{}\[\]<>()#!|&])", r"\\\1", text)
