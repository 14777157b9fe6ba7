"""What went wrong with the Hub, in one line that says what to do."""

from __future__ import annotations

import email.utils
import json
import time

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from ..texts import one_line_without_tokens

HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]  # of the HTTP library that huggingface_hub is built on
EXPECTED = (HTTPError, OSError, RuntimeError, ValueError, KeyError)  # what calls of the Hub raise when it fails


class PublishError(OSError):
    """An upload that failed. The message is one line, which ends with how to continue."""


def explain(error: BaseException, repo_id: str) -> str:
    """What went wrong with a repository and what to do about it, on one line and without any token."""
    failure, status = failed_request(error), status_of(error)
    if isinstance(failure, OfflineModeIsEnabled):
        return "the Hub is switched off here: unset HF_HUB_OFFLINE"
    if isinstance(failure, LocalTokenNotFoundError):
        return "not logged in to the Hub: run `hf auth login` or set HF_TOKEN"
    if isinstance(failure, GatedRepoError):
        return f"{repo_id} is gated: ask for access on its page"
    if isinstance(failure, RevisionNotFoundError):
        return f"{repo_id} has no such revision (404)"
    if status is not None:
        return _explain_status(status, failure, repo_id)
    if lacks_xet(failure):
        return "this Hub does not have Xet storage: set HF_HUB_DISABLE_XET=1"
    if isinstance(failure, (HTTPError, ConnectionError, TimeoutError)):
        return f"the connection to the Hub broke off or could not be made ({type(failure).__name__})"
    if isinstance(failure, json.JSONDecodeError):
        return "the Hub gave an answer that cannot be read: try again later"
    return one_line_without_tokens(failure) or type(failure).__name__


def _explain_status(status: int, failure: BaseException, repo_id: str) -> str:
    asked = retry_after(failure)
    known = {
        401: "the Hub does not accept your token (401): run `hf auth login` or set HF_TOKEN to one that is valid",
        403: f"your token may not write to {repo_id} (403): use one with write access to it, or another name",
        404: f"the Hub knows no {repo_id} (404): check the name, and that your token may see it",
        409: f"{repo_id} is taken, or being changed at this moment (409): try again, or choose another name",
        412: f"{repo_id} was changed by someone else during the upload (412): look at it, then try again",
        413: "the Hub finds a file too large (413)",
        429: f"too many requests (429): wait {f'{asked:.0f} seconds' if asked else 'some minutes'}",
    }
    if status in known:
        return known[status]
    if status >= 500:
        return f"the Hub is out of order ({status}): try again later"
    said = getattr(failure, "server_message", None)
    return f"the Hub refused ({status}{f', and said: {one_line_without_tokens(said)}' if said else ''})"


def lacks_xet(failure: BaseException) -> bool:
    """Whether a Hub of one's own does not know the storage that `hf_xet` uploads to."""
    return isinstance(failure, ConnectionError) and "404" in str(failure) and "/xet-" in str(failure)


def failed_request(error: BaseException) -> BaseException:
    """The failed request behind an error: uploads in threads and downloads wrap it in errors of their own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HTTPError):
        cause = cause.__cause__
    return error if cause is None else cause


def status_of(error: BaseException) -> int | None:
    """The HTTP status of the failed request behind an error; `None` if there was no answer."""
    return getattr(getattr(failed_request(error), "response", None), "status_code", None)


def retry_after(error: BaseException) -> float | None:
    """Seconds that the Hub asks to wait: by `Retry-After`, in either of its forms, or by `RateLimit`."""
    headers = getattr(getattr(failed_request(error), "response", None), "headers", None) or {}
    asked = headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    if asked:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
        except ValueError:
            return None
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
