"""Files and folders: written in one piece or not at all, never over somebody else's, and checked after reading."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
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


def contents(folder: str | os.PathLike) -> dict[str, int]:
    """The files of a folder, by their paths in it, and their sizes in bytes."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits one of the patterns; a `*` stands for anything but a `/`."""
    return any(fnmatchcase(path, p) and path.count("/") == p.count("/") for p in patterns)


@dataclass(frozen=True)
class Output:
    """What a command writes into a folder of its own.

    Attributes:
        files: patterns of the paths in the folder, see `matches`.
        signed: the file that tells an earlier output of the command from other folders with such names.
        signature: a text that this file holds.
        begun: patterns of what an output that was interrupted may hold, while the signed file is missing.
    """

    files: tuple[str, ...]
    signed: str
    signature: str
    begun: tuple[str, ...] = ()

    def check(self, folder: str | os.PathLike) -> None:
        """Refuse a folder to write into, unless it is new, empty or an earlier output of the command.

        Files and folders whose names start with a dot do not count.

        Raises:
            ValueError: the folder is a file, or holds something else.
        """
        if Path(folder).exists():
            refuse_folder(folder, self.foreign_files(Path(folder)))

    def foreign_files(self, folder: Path) -> list[str]:
        """The files of a folder that the command did not write; all of them if the signature is another."""
        files = [path for path in contents(folder) if not any(part.startswith(".") for part in path.split("/"))]
        signed = folder / self.signed
        if not signed.exists():
            return [path for path in files if not matches(path, self.begun)]
        if not signed.is_file() or self.signature.encode() not in signed.read_bytes():
            return files
        return [path for path in files if not matches(path, self.files)]


def refuse_folder(folder: str | os.PathLike, foreign: list[str]) -> None:
    """Refuse to write into a folder that holds foreign files.

    Raises:
        ValueError: there are some, or the folder is a file.
    """
    if Path(folder).is_file():
        raise ValueError(f"{folder} is a file: choose a folder")
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise ValueError(
            f"{folder} holds something else than earlier output of this command ({shown}): "
            "choose a folder that is new or empty"
        )


def check_output_file(path: str | os.PathLike, *starts: str) -> None:
    """Refuse a file to write, the value of `--output`, unless it is new or an earlier output of the command.

    Args:
        starts: how an output of the command may start.

    Raises:
        ValueError: it is a folder, or a file that starts otherwise.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"--output {path} is a folder: choose a file")
    if path.exists():
        with open(path, "rb") as file:
            start = file.read(max(map(len, starts)))
        if not start.startswith(tuple(text.encode() for text in starts)):
            raise ValueError(
                f"--output {path} holds something else than earlier output of this command: choose another name"
            )


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
