"""The modules that `trust_remote_code` runs, as files of one folder.

In the package they lie in several rooms. In a repository they are siblings, which is all that transformers can load. So
their imports of each other lose the room: `from ..nn.linear_group import` becomes `from .linear_group import`.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

PACKAGE = Path(__file__).parent
PROCESSOR = "model/image_processing_lgn.py"
ENTRIES = {  # model_type: the modules whose classes `auto_map` names
    "lgn": ("model/modeling_lgn.py", PROCESSOR),
    "lgn_convnet": ("convnet/modeling_lgn_convnet.py", PROCESSOR),
}
IMPORT = re.compile(r"^(\s*from )\.(?:(\.)(\w+)\.)?(\w+)( import )", re.MULTILINE)


@functools.cache
def remote_modules(model_type: str) -> dict[str, str]:
    """The modules of a family, {file name: text}: those that `auto_map` names, and all that these import."""
    found: dict[str, str] = {}
    waiting = [PACKAGE / entry for entry in ENTRIES[model_type]]
    while waiting:
        path = waiting.pop()
        if path.name in found:
            continue
        text = path.read_text(encoding="utf-8")
        found[path.name] = IMPORT.sub(r"\1.\4\5", text)
        for match in IMPORT.finditer(text):
            room = PACKAGE / match[3] if match[2] else path.parent
            waiting.append(room / f"{match[4]}.py")
    return dict(sorted(found.items()))


def write_modules(folder: str | os.PathLike, model_type: str) -> None:
    """Write the modules of a family into a folder, in place of those that are there."""
    for name, text in remote_modules(model_type).items():
        Path(folder, name).write_text(text, encoding="utf-8")
