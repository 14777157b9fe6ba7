"""Memory of the training process, which is not handed back between steps."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory for the next tensor, and say whether it does. Only glibc can.

    By default, glibc hands large blocks back to the system and asks for them again at the next step. Then page faults take
    much of the step of a small network on a CPU. The process keeps the most that it ever needed.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # not glibc
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
