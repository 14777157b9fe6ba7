"""Where a model can be opened in the lab of a static Space."""

from __future__ import annotations

from urllib.parse import urlencode

from ..space_address import space_address

LAB_PAGE = "lab.html"


def lab_address(space: str, model: str) -> str:
    """The address of the lab of a Space, with a model chosen.

    Example:
        >>> lab_address("Me/my_atlas", "me/lgn-mnist")
        'https://me-my-atlas.static.hf.space/lab.html#model=me%2Flgn-mnist'
    """
    return f"{space_address(space, LAB_PAGE)}#{urlencode({'model': model})}"
