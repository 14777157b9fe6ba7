"""Where the tests of compiled layers run."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lgn_hf.cpu.compilation import SOURCE
from lgn_hf.cpu.processors import FLAGS

# If there is a compiler, it must build them: a failure to do so fails the tests.
COMPILER = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None or os.environ.get("LGN_HF_COMPILE") == "0",
    reason="no C++ compiler to build the layers with, or not on Linux, or turned off",
)


def compile_program(source: Path, output: Path, *options: str) -> Path:
    """A program or library that may include the headers of the compiled layers."""
    command = [str(COMPILER), "-O1", *FLAGS[1:], *options, f"-I{SOURCE.parent}", str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    return output


def compile_layers(folder: Path, *options: str) -> ctypes.CDLL:
    """The compiled functions with other options than the package's, in half the time that those take."""
    return ctypes.CDLL(str(compile_program(SOURCE, folder / "layer.so", "-shared", *options)))
