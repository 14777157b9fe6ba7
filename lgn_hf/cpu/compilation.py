"""The compiled functions of this folder: from the wheel, or compiled on this machine at first use."""

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

from .processors import FLAGS, built_in_wheel, cpu_features

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("layer.cpp")  # includes the headers beside it


class CannotCompile(Exception):
    """The compiled functions cannot be built; the message says why."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, or None after a warning that says why.

    A wheel may have brought them. Otherwise they are compiled once. They stay in $HF_HOME/lgn_hf for the next
    process, under a name that tells sources, compilers and processors apart. LGN_HF_COMPILE=0 turns them off.
    """
    if os.environ.get("LGN_HF_COMPILE") == "0" or sys.platform != "linux" or not SOURCE.exists():
        return None
    try:
        return ctypes.CDLL(str(built_in_wheel(SOURCE.parent) or build(SOURCE)))
    except (CannotCompile, OSError) as error:
        logger.warning(
            "lgn_hf trains through torch alone, slower than it could on this CPU: %s. "
            "LGN_HF_COMPILE=0 silences this line.",
            error,
        )
        return None


def build(source: Path) -> Path:
    """Compile a C++ file, which may include the headers of this folder, for this processor.

    Raises:
        CannotCompile: no compiler was found, or the compiler failed.
    """
    names = [os.environ.get("CXX"), "g++", "c++", "clang++"]
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        raise CannotCompile("found no C++ compiler (CXX, g++, c++, clang++)")
    built = Path(HF_HOME) / "lgn_hf" / f"{source.stem}-{_identity(source, compiler)}.so"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        logger.info("Compiling %s, once.", source.name)
        with tempfile.TemporaryDirectory(dir=built.parent) as workshop:
            fresh = Path(workshop, built.name)
            options = (*FLAGS, "-shared", "-march=native", f"-I{SOURCE.parent}")
            command = [compiler, *options, str(source), "-o", str(fresh)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CannotCompile(f"{compiler} failed with: {(done.stderr.strip() or 'no message').splitlines()[0]}")
            os.replace(fresh, built)  # whole or not at all, since other processes may be building it too
    return built


def _identity(source: Path, compiler: str) -> str:
    """A name for what comes of these sources, compiler, flags and processor."""
    sources = [path.read_bytes() for path in (source, *sorted(SOURCE.parent.glob("*.h")))]
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    parts = [*sources, version, " ".join((*FLAGS, *sorted(cpu_features()))).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def is_mixed(dtype: torch.dtype) -> bool:
    """Whether autocast asks for products in bfloat16 and this processor has matrix units (AMX) for them."""
    return (
        dtype == torch.float32
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and (functions := library()) is not None
        and bool(functions.has_mixed())
    )
