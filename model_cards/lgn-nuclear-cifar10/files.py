"""Files: written whole or not at all, and read with suspicion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Another name to write a file under, which is flushed to the disk and takes the file's place at the end: a reader sees
    all of it or the old one, also where writing fails, is cut off, or two processes write at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file as in `replacing`; texts as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def check_schema(value: Any, schema: Any, where: str = "actions.json") -> None:
    """What was read has the form that it should have.

    Args:
        schema: a type or union of types; `{"name": schema}` an object with these fields and maybe more, `{str: schema}`
            with any fields; `[schema]` a list, `(schema, schema)` a list of that many.
        where: what the value is called in messages.

    Raises:
        ValueError: a value is of another type, or a field is missing.
    """
    allowed = type(schema) if isinstance(schema, (dict, list)) else list if isinstance(schema, tuple) else schema
    if type(value) not in (get_args(allowed) or (allowed,)):  # the very type: to Python, true is an int
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
