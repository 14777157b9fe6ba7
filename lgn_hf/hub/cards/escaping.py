"""Texts that are safe in Markdown, whoever wrote them.

Texts from files are plain: they are escaped when they are put into a sentence or a table. A sentence of our own is
`Markdown`, and its markup stays.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

from ...texts import one_line


class Code(str):
    """Text for a code block, where nothing is escaped. It must be one line if others wrote it."""


class Markdown(str):
    """Text whose markup is meant. Make it with `markdown` and `joined`, which escape what is put into it."""


NOTHING = Markdown()


def markdown(template: str, *values: Any, **named: Any) -> Markdown:
    """Format a template, whose markup stays. Texts among the values are escaped, unless they are Markdown.

    Example:
        >>> markdown("**{}** of {:,}", "a*b", 1000)
        '**a\\\\*b** of 1,000'
    """
    return Markdown(template.format(*escaped(values), **escaped(named)))


def joined(separator: str, texts: Iterable[str]) -> Markdown:
    """Texts one after another, escaped unless they are Markdown. Empty ones are left out."""
    return Markdown(separator.join(escaped(text) for text in texts if text))


def escaped(value: Any) -> Any:
    """Make every text in a value safe for Markdown, in paragraphs, tables and links.

    Nothing in it is markup, HTML or mathematics any more, and it stays on one line. Numbers, `Code`, `Markdown` and the
    keys of dictionaries stay as they are.
    """
    if isinstance(value, str) and not isinstance(value, (Code, Markdown)):
        text = html.escape(one_line(value), quote=False).replace("\\", "&#92;").replace("$", "&#36;")
        return Markdown(re.sub(r"([`*_\[\]|~])", r"\\\1", text))
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(item) for item in value]
    return value


def unbroken(text: str) -> Markdown:
    """A text that stays on one line of a table."""
    return Markdown(escaped(text).replace(" ", "&nbsp;"))
