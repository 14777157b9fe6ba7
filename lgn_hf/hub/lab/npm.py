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
    """Let npm download a package, and keep some of its files.

    Args:
        name, version: of the package.
        files: their paths in the package.
        folder: where to put them; what is there is replaced.

    Returns:
        `folder`.

    Raises:
        NpmError: there is no npm, it cannot download the package, or the package lacks a file.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError(f"there is no npm to fetch {name}")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", f"{name}@{version}", "--silent", "--fetch-retries=1", "--pack-destination", scratch]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise NpmError(f"npm did not fetch {name} in {SECONDS} s") from None
        archives = sorted(Path(scratch).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NpmError(f"npm cannot fetch {name}: {reason}")
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archives[0]) as archive, replacing_folder(folder) as partial:
            for file in files:
                try:
                    content = archive.extractfile(f"package/{file}")
                except KeyError:
                    content = None
                if content is None:
                    raise NpmError(f"{name}@{version} has no {file}")
                (partial / file).parent.mkdir(parents=True, exist_ok=True)
                (partial / file).write_bytes(content.read())
    return Path(folder)
