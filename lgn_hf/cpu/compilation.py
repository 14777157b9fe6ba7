"""The compiled functions of this folder: built by the C++ compiler of this machine on first use, once, and loaded."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HOME

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("layer.cpp")  # includes the headers beside it
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fopenmp", "-shared", "-fPIC", "-Wno-psabi", "-std=c++17")


class CannotCompile(Exception):
    """The compiled functions cannot be built; the message says why."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None after a warning that says why.

    They stay in $HF_HOME/lgn_hf for the next process, under a name that tells sources, compilers and processors
    apart. LGN_HF_COMPILE=0 turns them off.
    """
    if os.environ.get("LGN_HF_COMPILE") == "0" or sys.platform != "linux" or not SOURCE.exists():
        return None
    try:
        return ctypes.CDLL(str(_build()))
    except (CannotCompile, OSError) as error:
        logger.warning(
            "lgn_hf trains through torch alone, slower than it could on this CPU: %s. "
            "LGN_HF_COMPILE=0 silences this line.",
            error,
        )
        return None


def _build() -> Path:
    names = [os.environ.get("CXX"), "g++", "c++", "clang++"]
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        raise CannotCompile("found no C++ compiler (CXX, g++, c++, clang++)")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    processor = [line for line in Path("/proc/cpuinfo").read_bytes().splitlines() if line.startswith(b"flags")][:1]
    sources = [path.read_bytes() for path in sorted([*SOURCE.parent.glob("*.h"), SOURCE])]
    identity = b"\0".join([*sources, version, " ".join(FLAGS).encode(), *processor])
    folder = Path(HF_HOME) / "lgn_hf"
    built = folder / f"layer-{hashlib.sha256(identity).hexdigest()[:16]}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("Compiling %s, once.", SOURCE.name)
        with tempfile.TemporaryDirectory(dir=folder) as workshop:
            fresh = Path(workshop, built.name)
            done = subprocess.run(
                [compiler, *FLAGS, str(SOURCE), "-o", str(fresh)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CannotCompile(f"{compiler} failed with: {(done.stderr.strip() or 'no message').splitlines()[0]}")
            os.replace(fresh, built)  # whole or not at all, since other processes may be building it too
    return built


def is_mixed(dtype: torch.dtype) -> bool:
    """Whether autocast asks for products in bfloat16 and this processor has matrix units (AMX) for them."""
    return (
        dtype == torch.float32
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and (functions := library()) is not None
        and bool(functions.has_mixed())
    )
