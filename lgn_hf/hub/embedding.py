"""Pages that hold everything they show: styles, data and scripts are put into a template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")


def fill(template: Path, **texts: str) -> str:
    """A template whose placeholders, each a word in capitals, are replaced by texts. Each must be there once."""
    page = template.read_text(encoding="utf-8")
    pattern = re.compile(r"\b(?:" + "|".join(texts) + r")\b")
    found = pattern.findall(page)
    assert sorted(found) == sorted(texts), (template, found)
    return pattern.sub(lambda match: texts[match[0]], page)


def script_safe(document: dict[str, Any]) -> str:
    """JSON that cannot end a script element and means the same in HTML: ASCII, without <, > and &."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
