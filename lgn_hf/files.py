"""Files: written in one piece or not at all, and checked after reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end, that file is flushed to the disk and replaces `path`.

    A reader sees the whole new file or the old one, even if writing fails or is cut off, or two
    processes write at once.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file in one piece, see `replacing`. Text is encoded as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def check_schema(value: Any, schema: Any, where: str) -> None:
    """Check that a value read from JSON has the types that it should have.

    Args:
        value: what was read.
        schema: a type, or a union of types; `{"name": schema}` for an object with these fields and
            maybe more; `{str: schema}` for an object with any fields; `[schema]` for a list;
            `(schema, schema)` for a list of that length.
        where: the name of the value in messages.

    Raises:
        ValueError: a value has another type, or a field is missing.

    Example:
        >>> check_schema({"epochs": 3, "note": ""}, {"epochs": int | float}, "results.json")
        >>> check_schema({"epochs": "3"}, {"epochs": int | float}, "results.json")
        Traceback (most recent call last):
        ValueError: results.json.epochs is '3': must be int | float
    """
    allowed = type(schema) if isinstance(schema, (dict, list)) else list if isinstance(schema, tuple) else schema
    if type(value) not in (get_args(allowed) or (allowed,)):  # not isinstance: in Python, True is an int
        raise ValueError(f"{where} is {value!r:.80}: must be {getattr(allowed, '__name__', allowed)}")
    if isinstance(schema, dict):
        missing = schema.keys() - value.keys() - {str}
        if missing:
            raise ValueError(f"{where} lacks {', '.join(sorted(missing))}")
        for key in value if str in schema else schema:
            check_schema(value[key], schema.get(str, schema.get(key)), f"{where}.{key:.40}")
    elif isinstance(schema, (list, tuple)):
        if isinstance(schema, tuple) and len(value) != len(schema):
            raise ValueError(f"{where} has {len(value)} items: must be {len(schema)}")
        for i, item in enumerate(value):
            check_schema(item, schema[i % len(schema)], f"{where}[{i}]")
