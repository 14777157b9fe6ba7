"""Where a model can be opened in the lab of a static Space."""

from __future__ import annotations

import re
from urllib.parse import urlencode

LAB_PAGE = "lab.html"


def lab_address(space: str, model: str) -> str:
    """The address of the lab of a Space, with a model chosen.

    Example:
        >>> lab_address("Me/my_atlas", "me/lgn-mnist")
        'https://me-my-atlas.static.hf.space/lab.html#model=me%2Flgn-mnist'
    """
    host = re.sub(r"[^a-z0-9]+", "-", space.lower()).strip("-")
    return f"https://{host}.static.hf.space/{LAB_PAGE}#{urlencode({'model': model})}"
