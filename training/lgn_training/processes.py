"""What the processes of a run have in common: one end, one error, one output folder."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from accelerate import Accelerator
from accelerate.utils import gather_object

LATE = 30  # seconds after which network file systems show a new file to other machines, at most

Result = TypeVar("Result")


class SharedError(ValueError):
    """An error that every process raises, so that one of each machine tells of it."""


def fail(program: str, error: BaseException, exit_code: int = 1) -> int:
    """Print the line that `program` ends in, with the process whose error it is if not the main one's; the exit code."""
    rank, local_rank = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    is_shared = isinstance(error, SharedError)
    if not (is_shared and local_rank):
        where = f"process {rank}: " if rank and not is_shared else ""
        print(f"{program}: {where}{' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return exit_code


def jointly(accelerator: Accelerator, act: Callable[[], Result]) -> Result:
    """`act()` on every process, the main one first. It must not wait for other processes.

    Raises:
        SharedError: on every process, where it failed on any: the first one's error, and which process that was.
    """
    result, problem = None, None
    with accelerator.main_process_first():
        try:
            result = act()
        except (ValueError, OSError) as error:
            problem = error
    for rank, line in enumerate(gather_object([None if problem is None else str(problem)])):
        if line is not None:
            raise SharedError(f"process {rank}: {line}" if rank else line) from problem
    return cast(Result, result)


def check_shared(accelerator: Accelerator, folder: Path) -> None:
    """Every process must find in `folder` what the main one writes there, as checkpoints are.

    Raises:
        SharedError: a process does not, as happens on several machines without a common disk; or it cannot be written.
    """
    if accelerator.num_processes == 1:
        return
    marker = folder / f".shared-{_common_name(accelerator)}"

    def look() -> None:
        if accelerator.is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            marker.touch()
        elif not _appears(marker):
            raise ValueError(
                f"output_dir {folder} does not hold here what the main process writes in it: choose a folder on a disk "
                "that all machines share, by the same path on each"
            )

    try:
        jointly(accelerator, look)
    finally:
        if accelerator.is_main_process:
            with contextlib.suppress(OSError):
                marker.unlink(missing_ok=True)


def _common_name(accelerator: Accelerator) -> str:
    """A name that is new, and the same on every process."""
    return gather_object([uuid.uuid4().hex])[0]


def _appears(path: Path) -> bool:
    """Whether a file is there, or comes while a network file system may be late."""
    deadline = time.monotonic() + LATE
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
