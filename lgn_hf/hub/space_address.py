"""Where the files of a static Space are served."""

from __future__ import annotations

import re

PREVIEW_NAME = "preview.png"  # the picture that stands for a Space, see `preview`


def space_address(space: str, path: str) -> str:
    """The address of a file of a static Space.

    Example:
        >>> space_address("Me/my_atlas", "index.html")
        'https://me-my-atlas.static.hf.space/index.html'
    """
    host = re.sub(r"[^a-z0-9]+", "-", space.lower()).strip("-")
    return f"https://{host}.static.hf.space/{path}"
