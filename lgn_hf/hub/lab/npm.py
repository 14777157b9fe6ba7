"""Files of npm packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..replacement import replacing_folder

SECONDS = 300  # for a download


class NpmError(ValueError):
    """npm is not there, or cannot download a package."""


def fetch_package(name: str, version: str, files: Sequence[str], folder: str | os.PathLike) -> Path:
    """Let npm download a package, and keep some of its files. If they are there already, nothing happens.

    Args:
        name, version: of the package.
        files: their paths in the package.
        folder: where to put them. Processes that fetch into the same folder wait for each other.

    Returns:
        `folder`.

    Raises:
        NpmError: npm is not installed or cannot download the package, or the package lacks a file.
    """
    from huggingface_hub.utils import WeakFileLock

    folder = Path(folder)
    if _has(folder, files):
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError(f"there is no npm to fetch {name}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder.parent / f".{folder.name}.lock"), tempfile.TemporaryDirectory() as scratch:
        if not _has(folder, files):
            _unpack(_download(npm, name, version, Path(scratch)), files, folder)
    return folder


def _has(folder: Path, files: Sequence[str]) -> bool:
    return all((folder / file).is_file() for file in files)


def _download(npm: str, name: str, version: str, folder: Path) -> Path:
    command = [npm, "pack", f"{name}@{version}", "--silent", "--fetch-retries=1", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise NpmError(f"npm did not fetch {name} in {SECONDS} s") from None
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode or not archives:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NpmError(f"npm cannot fetch {name}: {reason}")
    return archives[0]


def _unpack(source: Path, files: Sequence[str], folder: Path) -> None:
    with tarfile.open(source) as archive, replacing_folder(folder) as partial:
        for file in files:
            try:
                content = archive.extractfile(f"package/{file}")
            except KeyError:
                content = None
            if content is None:
                raise NpmError(f"{source.name} has no {file}")
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            (partial / file).write_bytes(content.read())
