"""Try repositories as strangers would use it: with this package, and with each repository's own modules alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ..remote_code import PACKAGE
from ..texts import one_line_without_tokens
from .check import check
from .folder import contents

PROBE = Path(__file__).with_name("probe.py")
USERS_OWN = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_MODULES_CACHE", "HF_HUB_CACHE")
TOLERANCE = 1e-5  # of the largest answer

logger = logging.getLogger("lgn_hf.hub.trial")


def validate(*folders: str | os.PathLike) -> None:
    """Check repositories, then run `probe.py` on them in two fresh processes, with this package and without it.

    Both processes must load each repository without a question, offline, and give the same answers. Logs the total sizes.

    Raises:
        ValueError: as `check`, or a process fails, or their answers differ.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for path in paths:
        check(path)
    with tempfile.TemporaryDirectory() as scratch:
        places = {where: Path(scratch, where) for where in ("with", "without")}
        started = {where: _start_probe(paths, place, where) for where, place in places.items()}
        errors = {where: process.communicate()[1] for where, process in started.items()}
        for where, said in errors.items():
            if started[where].returncode:
                path = next((path for path, file in _answers(paths, places[where]) if not file.is_file()), paths[-1])
                last = (said.strip().splitlines() or ["no message"])[-1]
                reason = one_line_without_tokens(last)
                raise ValueError(f"{path} does not work {where} lgn_hf installed: {reason}")
        for (path, ours), (_, theirs) in zip(*(_answers(paths, place) for place in places.values()), strict=True):
            _compare(path, load_file(ours), load_file(theirs))
    for path in paths:
        sizes = contents(path)
        logger.info("%s is complete: %d files, %.2f MB", path, len(sizes), sum(sizes.values()) / 1e6)


def _answers(paths: list[Path], place: Path) -> list[tuple[Path, Path]]:
    """Each repository, and the file with what it answered."""
    return [(path, place / f"{number}.safetensors") for number, path in enumerate(paths)]


def _compare(path: Path, with_package: dict[str, Tensor], without: dict[str, Tensor]) -> None:
    for name, answer in with_package.items():
        is_same = (answer - without[name]).abs().max() <= TOLERANCE * answer.abs().max()
        if not is_same:  # also if one is NaN, which fails every comparison
            raise ValueError(f"{path} answers otherwise with its own code than with lgn_hf: {name}")


def _start_probe(folders: list[Path], home: Path, where: str) -> subprocess.Popen[str]:
    home.mkdir()  # an empty cache, no token
    environment = {name: value for name, value in os.environ.items() if name not in USERS_OWN}
    package = [str(PACKAGE.parent)] if where == "with" else []
    environment |= {
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "LGN_HF_COMPILE": "0",  # the repository is on trial, not this machine's compiler
        "PYTHONPATH": os.pathsep.join([*package, *filter(None, [environment.get("PYTHONPATH")])]),
    }
    return subprocess.Popen(
        [sys.executable, str(PROBE), where, str(home), *map(str, folders)],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
