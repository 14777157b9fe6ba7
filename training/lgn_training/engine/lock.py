"""One run at a time in an output folder."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from filelock import FileLock, Timeout

from lgn_training.engine.output_folder import LOCK_FILE, refuse_file
from lgn_training.engine.processes import jointly


@contextlib.contextmanager
def locked(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """Hold the lock of an output folder, which is made if needed. An operating system frees the lock of a killed run.

    Raises:
        SharedError: another run holds it (the message names its process), or the folder cannot be made or written.
    """
    is_new = not folder.exists()
    lock = (
        jointly(accelerator, partial(_acquire, folder)) if accelerator.is_main_process else jointly(accelerator, _wait)
    )
    try:
        yield
    finally:
        if lock is not None:
            (folder / LOCK_FILE).unlink(missing_ok=True)
            lock.release()
            if is_new:
                with contextlib.suppress(OSError):  # it holds a run
                    folder.rmdir()


def _acquire(folder: Path) -> FileLock:
    refuse_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    holder = path.read_text() if path.exists() else ""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"another run is using output_dir {folder} ({holder or 'it has just started'}): wait for its end, or choose "
            "another folder"
        ) from None
    path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
    return lock


def _wait() -> None:
    """The other processes leave the lock to the main one."""
