"""Patience with the Hub.

`huggingface_hub` repeats the requests that carry files (`http_backoff`). It does not repeat those that make a repository, a
branch, a commit or a collection, and has no public option for it. So `retry` repeats the whole call.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub.errors import OfflineModeIsEnabled

from .errors import HTTPError, failed_request, lacks_xet, retry_after, status_of

SAFE_TO_REPEAT = (429, 503)  # the Hub did nothing
TRANSIENT = (408, 500, 502, 504, *SAFE_TO_REPEAT)

Result = TypeVar("Result")

logger = logging.getLogger("lgn_hf.hub.retry")


def retry(
    call: Callable[[], Result],
    *,
    attempts: int = 5,
    total: float = 120.0,
    once: bool = False,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Call the Hub until it answers: again after 1, 2, 4, ... seconds, or when a `Retry-After` asks for it.

    Args:
        call: what to do. An error that waiting does not help is raised at once.
        attempts: the most calls.
        total: seconds after which no further attempt starts.
        once: the call must not be done twice, such as opening a pull request. It is repeated only if the Hub said that
            it did nothing.
        pause: waits that many seconds.
        clock: tells the time in seconds.
    """
    start, wait = clock(), 1.0
    for left in reversed(range(attempts)):
        try:
            return call()
        except Exception as error:
            asked = retry_after(error)
            delay = wait if asked is None else asked
            if not left or clock() - start + delay > total or not _passes(error, once):
                raise
            reason = status_of(error) or type(failed_request(error)).__name__
            logger.info("the Hub did not answer (%s): once more in %.0f s", reason, delay)
            pause(delay)
            wait *= 2
    raise ValueError(f"attempts={attempts}: must be at least 1")


def _passes(error: Exception, once: bool) -> bool:
    """Whether waiting can help, and repeating does no harm."""
    failure, status = failed_request(error), status_of(error)
    if status is not None:
        return status in (SAFE_TO_REPEAT if once else TRANSIENT)
    broke_off = isinstance(failure, (HTTPError, json.JSONDecodeError, ConnectionError, TimeoutError))
    for_good = isinstance(failure, OfflineModeIsEnabled) or lacks_xet(failure)
    return broke_off and not once and not for_good
