"""How a program that `accelerate launch` starts reports an error: one line, once per machine."""

from __future__ import annotations

import os
import sys

from lgn_hf.texts import one_line


class SharedError(ValueError):
    """An error that every process raises, so that only one process per machine prints it."""


def fail(program: str, error: BaseException, exit_code: int = 1) -> int:
    """Print an error as the one line that `program` ends with, and return the exit code.

    The line names the process if the error is not of the main one.
    """
    rank, local_rank = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    is_shared = isinstance(error, SharedError)
    if not (is_shared and local_rank):
        where = f"process {rank}: " if rank and not is_shared else ""
        print(f"{program}: {where}{one_line(error, None)}", file=sys.stderr, flush=True)
    return exit_code
