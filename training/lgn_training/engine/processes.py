"""What the processes of a run share: the end, an error, the output folder."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from accelerate import Accelerator
from accelerate.utils import gather_object

from lgn_training.engine.errors import SharedError, fail

__all__ = ["SharedError", "check_shared", "fail", "jointly"]

LATE = 30  # seconds, at most, until a network file system shows a new file to other machines

Result = TypeVar("Result")


def jointly(accelerator: Accelerator, act: Callable[[], Result]) -> Result:
    """Call `act()` on every process, the main one first. It must not wait for other processes.

    Raises:
        SharedError: it failed on some process. Every process raises the first error, with the process that had it.
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
    """Check that every process finds in `folder` what the main process writes there.

    Raises:
        SharedError: a process does not find it, as on several machines without a common disk, or it cannot be written.
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
    """A new name, the same on every process."""
    return gather_object([uuid.uuid4().hex])[0]


def _appears(path: Path) -> bool:
    """Whether a file is there, or appears within LATE seconds."""
    deadline = time.monotonic() + LATE
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
