"""The head that all pages of a Space share: what browsers, search engines and previews of links read."""

from __future__ import annotations

import html

from .embedding import TEMPLATES, fill
from .space_address import PREVIEW_NAME, space_address


def page_head(title: str, description: str, space: str | None = None) -> str:
    """The content of a page's `<head>`, without the styles that only this page has.

    Args:
        title: of the page.
        description: one sentence on what it shows.
        space: the static Space, USER/NAME, that the page is made for. Its picture is then shown where people post a link to
            the page. Such pictures need a full address, so a page without a Space has none.
    """
    tags = {"og:type": "website", "og:title": title, "og:description": description}
    if space is not None:
        tags["og:image"] = space_address(space, PREVIEW_NAME)
        tags["twitter:card"] = "summary_large_image"
    lines = [f'<meta name="description" content="{html.escape(description)}">']
    lines += [f'<meta property="{name}" content="{html.escape(value)}">' for name, value in tags.items()]
    return fill(
        TEMPLATES / "head.html",
        SOCIAL_TAGS="\n".join(lines),
        PAGE_TITLE=html.escape(title),
        PAGE_STYLE=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
    ).rstrip()
