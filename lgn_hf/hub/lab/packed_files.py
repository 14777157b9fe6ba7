"""Files as scripts, which a page can read from a disk, too.

A page that lies on a disk may not fetch the files beside it, but it may run scripts. So each file is compressed, cut into parts,
and written as scripts that hand these parts to the page, which joins and unpacks them. Compressed, the runtime has a third of its size,
although the scripts are text.
"""

from __future__ import annotations

import base64
import gzip
import json

PART = 600_000  # characters: what a visitor on a slow connection sees as one step of progress


def pack(name: str, content: bytes) -> list[str]:
    """Scripts that hand a file to `receive` of `runtime.js`, part by part."""
    text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return [f"labReceive({json.dumps(name)}, {i}, {json.dumps(part)});\n" for i, part in enumerate(parts)]
