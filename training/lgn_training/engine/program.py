"""The frame of a program that `accelerate launch` starts: one exit code, and one line for every mistake of the user."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from accelerate import Accelerator
from transformers.utils import logging as transformers_logging

from lgn_hf.texts import full_traceback
from lgn_training.engine.loop import TrainingStopped
from lgn_training.engine.processes import SharedError, fail

Arguments = TypeVar("Arguments")

logger = logging.getLogger("lgn_hf.training")


def run_program(
    name: str,
    start: Callable[[], tuple[Arguments, Accelerator]],
    act: Callable[[Arguments, Accelerator], None],
) -> int:
    """Read the command line by `start`, then `act`; return the exit code.

    `ValueError` and `OSError` are mistakes of the user and end in one line, unless LGN_HF_TRACEBACK is set.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    transformers_logging.disable_progress_bar()
    try:
        arguments, accelerator = start()
    except (ValueError, OSError) as error:
        return fail(name, SharedError(error))  # every process has the same command line
    logger.setLevel(logging.INFO if accelerator.is_main_process else logging.ERROR)
    try:
        act(arguments, accelerator)
    except TrainingStopped as stop:
        return fail(name, stop, stop.exit_code)
    except (ValueError, OSError) as error:
        if os.environ.get("LGN_HF_TRACEBACK"):
            sys.exit(full_traceback(error))
        return fail(name, error)
    except KeyboardInterrupt:  # before the first step or after the last, when there is nothing to save
        return 130
    finally:
        accelerator.end_training()
    return 0
