"""Make a folder as one whole: it takes its place at the end, or what was there stays."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

REPLACED = "replaced"  # the name of the old folder until the new one has its place


@contextlib.contextmanager
def replacing_folder(target: str | os.PathLike) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `target` at the end.

    It is a folder of the same name in a hidden folder beside `target`. At the end, the old folder moves into the hidden
    one, the new folder moves out of it, and only then is the old one removed. Where filling fails or is interrupted, the
    old folder stays. Where the process is killed between the two moves, `put_back` helps.
    """
    target = Path(target).resolve()
    workshop = _workshop(target)
    partial = workshop / "new" / target.name
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if target.exists():
            os.replace(target, workshop / REPLACED)
        os.replace(partial, target)
    finally:
        put_back(target)
        shutil.rmtree(workshop, ignore_errors=True)


def put_back(folder: str | os.PathLike) -> None:
    """Give a folder its place again that `replacing_folder` moved aside, if no other has taken it."""
    folder = Path(folder).resolve()
    replaced = _workshop(folder) / REPLACED
    if replaced.exists() and not folder.exists():
        os.replace(replaced, folder)


def _workshop(target: Path) -> Path:
    return target.parent / f".{target.name}.partial"
