"""Try a repository as strangers would use it: with this package, and with the repository's own modules alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

from ..texts import one_line_without_tokens
from .check import check
from .folder import PACKAGE, contents

PROBE = Path(__file__).with_name("probe.py")
USERS_OWN = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_MODULES_CACHE", "HF_HUB_CACHE")
TOLERANCE = 1e-5  # of the largest answer

logger = logging.getLogger("lgn_hf.hub.trial")


def validate(folder: str | os.PathLike) -> None:
    """Check a repository, then run `probe.py` on it in two fresh processes, with this package and without it.

    Both processes must load the repository without a question, offline, and give the same answers. Logs the total size.

    Raises:
        ValueError: as `check`, or a process fails, or their answers differ.
    """
    check(folder)
    folder = Path(folder).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        started = {where: _start_probe(folder, Path(scratch), where) for where in ("with", "without")}
        errors = {where: process.communicate()[1] for where, process in started.items()}
        for where, said in errors.items():
            if started[where].returncode:
                last = (said.strip().splitlines() or ["no message"])[-1]
                reason = one_line_without_tokens(last)
                raise ValueError(f"{folder} does not work {where} lgn_hf installed: {reason}")
        with_package, without = (load_file(Path(scratch, where, "answers.safetensors")) for where in started)
    for name, answer in with_package.items():
        is_same = (answer - without[name]).abs().max() <= TOLERANCE * answer.abs().max()
        if not is_same:  # also if one is NaN, which fails every comparison
            raise ValueError(f"{folder} answers otherwise with its own code than with lgn_hf: {name}")
    sizes = contents(folder)
    logger.info("%s is complete: %d files, %.2f MB", folder, len(sizes), sum(sizes.values()) / 1e6)


def _start_probe(folder: Path, scratch: Path, where: str) -> subprocess.Popen[str]:
    home = scratch / where  # an empty cache, no token
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in USERS_OWN}
    package = [str(PACKAGE.parent)] if where == "with" else []
    environment |= {
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "LGN_HF_COMPILE": "0",  # the repository is on trial, not this machine's compiler
        "PYTHONPATH": os.pathsep.join([*package, *filter(None, [environment.get("PYTHONPATH")])]),
    }
    return subprocess.Popen(
        [sys.executable, str(PROBE), str(folder), where, str(home / "answers.safetensors")],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
