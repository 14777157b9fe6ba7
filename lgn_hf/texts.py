"""Text for messages, tables and cards: one line, printable, without tokens."""

from __future__ import annotations

import re
import traceback

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")


def one_line(value: object, limit: int | None = 300) -> str:
    """The text of a value on one line.

    Line breaks and characters that do not print become spaces: they could hide what the text says, or control a terminal.

    Args:
        value: a text, an error or anything else that `str` takes.
        limit: the most characters that are kept; `None` keeps all.

    Example:
        >>> one_line("first\\n  second \\x1b[2J")
        'first second [2J'
    """
    printable = "".join(c if c.isprintable() else " " for c in str(value))
    return " ".join(printable.split())[:limit]


def one_line_without_tokens(value: object, limit: int | None = 500) -> str:
    """As `one_line`, see `without_tokens`."""
    return without_tokens(one_line(value, None))[:limit]


def without_tokens(text: str) -> str:
    """The text with `hf_...` in place of every token of the Hub and of the user's own token."""
    from huggingface_hub import get_token  # slow to import, and rarely needed

    token = get_token()
    if token:
        text = text.replace(token, "hf_...")
    return TOKEN.sub("hf_...", text)


def full_traceback(error: BaseException) -> str:
    """The traceback of an error and of all errors behind it, without tokens.

    It also shows the errors that `raise ... from None` leaves out: what a message of one line hides.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__suppress_context__ = False
        cause = cause.__cause__ or cause.__context__
    return without_tokens("".join(traceback.format_exception(error)))


def group_title(name: str) -> str:
    """The name of a group, as mathematics writes it.

    Example:
        >>> group_title("C_4"), group_title("Z_2 x Z_2"), group_title("group of order 64")
        ('C₄', 'Z₂ × Z₂', 'group of order 64')
    """
    subscripted = re.sub(r"_(\d+)", lambda match: match[1].translate(SUBSCRIPTS), name)
    return subscripted.replace(" x ", " × ")  # noqa: RUF001
