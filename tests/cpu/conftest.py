"""Where the tests of compiled layers run."""

import os
import shutil
import sys

import pytest

# If there is a compiler, it must build them: a failure to do so fails the tests.
COMPILER = any(shutil.which(name) for name in ("g++", "c++", "clang++"))
needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not COMPILER or os.environ.get("LGN_HF_COMPILE") == "0",
    reason="no C++ compiler to build the layers with, or not on Linux, or turned off",
)
