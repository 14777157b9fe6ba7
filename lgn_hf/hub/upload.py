"""To the Hub and back: one commit or none, patience where it helps, and one clear message where it does not."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from ..runs.trained_model import CONFIG_NAME
from .publication import (
    OPTIONAL_FILES,
    PROCESSOR_NAME,
    check,
    check_repo_id,
    contents,
    matches,
    one_line,
    own_modules,
)

COLLECTION_SLUG = re.compile(r"[^/]+/.+-[0-9a-f]{24}")

HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]  # of the HTTP library that huggingface_hub is built on
SAFE_TO_REPEAT = (429, 503)  # the Hub did nothing
TRANSIENT = (408, 500, 502, 504, *SAFE_TO_REPEAT)

Result = TypeVar("Result")
MADE_BY_THE_HUB = {".gitattributes", "style.css"}  # the latter in a new static Space, with a page and a card

logger = logging.getLogger("lgn_hf.hub.upload")


class PublishError(OSError):
    """An upload that failed; the message is one line, which ends with how to continue."""


# Models


def publish(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    collection: str | None = None,
    create_pr: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Upload a built folder in one commit: the repository is as before, or as the folder is.

    Running it again is harmless: only what differs is uploaded, and where nothing differs there is no commit. Files of
    an older publication that are gone here go there too, its modules among them; files that publishing does not make,
    such as a `handler.py`, are left alone.

    Args:
        folder: what `build` made.
        repo_id: USER/NAME, or NAME for your own; made if it does not exist.
        private: make a new repository private; a public one is refused.
        revision: branch; made from `main` if it does not exist.
        collection: to add the model to: its slug, or USER/TITLE of one that is made if it does not exist.
        create_pr: open a pull request instead of committing to `main`.
        pause: what waits between attempts, seconds.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        PublishError: the Hub refuses or cannot be reached. The folder stays; the message ends with the command that
            continues.
        ValueError: the folder, a name or an option cannot be published as asked.
    """
    folder = Path(folder).resolve()
    check_repo_id(repo_id)
    if create_pr and revision not in (None, "main"):
        raise ValueError(f"revision={revision!r} with create_pr: a pull request is always against main")
    if collection is not None and not re.fullmatch(r"[\w.-]+/[^/\s][^/]*", collection):
        raise ValueError(f"collection={collection!r}: must be a slug, or USER/TITLE")
    check(folder)
    options = ["--private"] * private + ["--create-pr"] * create_pr
    options += [f"--{name}={value}" for name, value in (("revision", revision), ("collection", collection)) if value]
    command = shlex.join(["lgn-hf", "publish", str(folder), repo_id, *options])
    token = get_token()
    if not token:
        raise PublishError(f"not logged in to the Hub: run `hf auth login` or set HF_TOKEN, then: {command}")
    for path in contents(folder):
        if token.encode() in (folder / path).read_bytes():
            raise ValueError(f"{folder}: {path} holds your token: remove it there and build again")

    api = HfApi()
    url = None
    try:
        repo = retry(lambda: api.create_repo(repo_id, private=private or None, exist_ok=True), pause=pause)
        repo_id = repo.repo_id
        if revision not in (None, "main") and not revision.startswith("refs/"):
            retry(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True), pause=pause)
        url = retry(
            lambda: _commit(api, folder, repo_id, private, revision, create_pr), pause=pause, once=create_pr
        )  # fmt: skip
        if collection is not None:
            retry(lambda: _collect(api, repo_id, collection, private), pause=pause)
    except _Refusal as error:
        raise ValueError(str(error)) from None
    except (HTTPError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = explain(error, repo_id)
        done = f"{folder} is not published" if url is None else f"published at {url}, but not in {collection}"
        raise PublishError(f"{done}: {reason}; to continue: {command}") from None
    return url


class _Refusal(ValueError):
    """What is on the Hub under this name is not to be touched."""


def _commit(api: HfApi, folder: Path, repo_id: str, private: bool, revision: str | None, create_pr: bool) -> str:
    """One commit of what differs, on top of what was seen; its address.

    Not `HfApi.upload_folder`, which makes several commits of a slow upload.
    """
    info = api.model_info(repo_id, revision=revision)
    there = {sibling.rfilename for sibling in info.siblings or ()}
    if private and info.private is False:
        raise _Refusal(f"{repo_id} is public: make it private on the Hub first, or publish without private")
    _check_occupant(api, repo_id, info.sha, there)
    here = contents(folder)
    gone = sorted(_published_before(api, repo_id, info.sha, there - here.keys()))
    operations = [CommitOperationAdd(path, folder / path) for path in here]
    commit = api.create_commit(
        repo_id,
        [*operations, *(CommitOperationDelete(path, is_folder=False) for path in gone)],
        commit_message=f"Publish {repo_id.rpartition('/')[2]}",
        revision=revision,
        create_pr=create_pr,
        parent_commit=info.sha,
    )
    if commit.oid == info.sha:
        logger.info("%s is up to date", repo_id)
    return commit.pr_url or commit.commit_url


def _check_occupant(api: HfApi, repo_id: str, sha: str | None, there: set[str]) -> None:
    """Refuse a repository that holds something else than an LGN."""
    if not there - {".gitattributes"}:
        return
    kind = None
    if CONFIG_NAME in there:
        try:
            kind = json.loads(Path(api.hf_hub_download(repo_id, CONFIG_NAME, revision=sha)).read_bytes())["model_type"]
        except (ValueError, KeyError, TypeError):
            kind = "unknown"
        if kind == "lgn":
            return
    what = f"a model of type {kind!r:.40}" if kind else f"other files ({', '.join(sorted(there)[:3])}, ...)"
    raise _Refusal(f"{repo_id} is taken: it holds {what}, no LGN; choose another name, or empty it on the Hub first")


def _published_before(api: HfApi, repo_id: str, sha: str | None, paths: set[str]) -> set[str]:
    """Of these files of a repository, those that came with an older publication."""
    found = {path for path in paths if matches(path, OPTIONAL_FILES)}
    if any(matches(path, ("*.py",)) for path in paths):
        wanted = ["*.py", CONFIG_NAME, PROCESSOR_NAME]
        found |= paths & own_modules(api.snapshot_download(repo_id, revision=sha, allow_patterns=wanted))
    return found


def _collect(api: HfApi, repo_id: str, collection: str, private: bool) -> None:
    slug = collection
    if not COLLECTION_SLUG.fullmatch(collection):
        namespace, _, title = collection.partition("/")
        slug = api.create_collection(title, namespace=namespace, private=private, exists_ok=True).slug
    api.add_collection_item(slug, repo_id, "model", exists_ok=True)


# Data sets and Spaces


def upload(
    folder: str | os.PathLike, names: Sequence[str], repo_id: str, repo_type: str, *, private: bool = False
) -> str:
    """Make the repository, unless it is there, and commit what differs in it; doing it again is harmless.

    Args:
        folder: where the files are.
        names: their paths in it and in the repository, whose other files are left alone.
        repo_id: USER/NAME, or NAME for your own.
        repo_type: "dataset" or "space", which is a static one.
        private: make a new repository private; a public one is refused.

    Returns:
        The address of the repository.

    Raises:
        ValueError: the repository is public or holds something else.
        PublishError: the Hub refuses or cannot be reached; nothing is half-published.
    """
    api, sdk = HfApi(), "static" if repo_type == "space" else None
    try:
        url = retry(
            lambda: api.create_repo(
                repo_id, repo_type=repo_type, space_sdk=sdk, private=private or None, exist_ok=True
            )
        )
        name = url.repo_id
        info: Any = retry(lambda: api.repo_info(name, repo_type=repo_type))
        there = {sibling.rfilename for sibling in info.siblings or ()}
        taken = sorted(there - MADE_BY_THE_HUB - {*names}) if not there.issuperset(names) else []
        refusal = "is public: make it private on the Hub first" if private and info.private is False else None
        refusal = f"holds other files ({', '.join(taken[:3])}): choose another name" if taken else refusal
        if refusal is None:
            operations = [CommitOperationAdd(path, Path(folder, path)) for path in names]
            message = f"Publish {name.rpartition('/')[2]}"
            retry(lambda: api.create_commit(name, operations, commit_message=message, repo_type=repo_type))
    except (HTTPError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise PublishError(
            f"{repo_type} {repo_id} is not published: {explain(error, repo_id)}; run the same again to continue"
        ) from None
    if refusal is not None:
        raise ValueError(f"{repo_type} {repo_id} {refusal}")
    return str(url)


# Patience and messages


def retry(
    call: Callable[[], Result],
    *,
    attempts: int = 5,
    total: float = 120.0,
    once: bool = False,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Call the Hub until it answers: after 1, 2, 4, ... seconds, or when a `Retry-After` asks for it.

    Args:
        call: what to do; an error that waiting does not help is raised at once.
        attempts: how often, at most.
        total: seconds after which no further attempt starts.
        once: the call is not to be done twice: try again only where the Hub said that it did nothing.
        pause: waits that many seconds.
        clock: seconds.
    """
    start, wait = clock(), 1.0
    for left in reversed(range(attempts)):
        try:
            return call()
        except Exception as error:
            failure, status = _failure(error), _status(error)
            if status is None:
                passes = isinstance(failure, (HTTPError, json.JSONDecodeError, ConnectionError, TimeoutError))
                passes = passes and not once and not isinstance(failure, OfflineModeIsEnabled)
            else:
                passes = status in (SAFE_TO_REPEAT if once else TRANSIENT)
            asked = _retry_after(failure)
            delay = wait if asked is None else asked
            if not passes or not left or clock() - start + delay > total:
                raise
            logger.info("the Hub did not answer (%s): once more in %.0f s", status or type(failure).__name__, delay)
            pause(delay)
            wait *= 2
    raise ValueError(f"attempts={attempts}: must be at least 1")


def explain(error: BaseException, repo_id: str) -> str:
    """What went wrong with a repository and what to do about it, on one line and without any token."""
    failure, status = _failure(error), _status(error)
    if isinstance(failure, OfflineModeIsEnabled):
        return "the Hub is switched off here: unset HF_HUB_OFFLINE"
    if isinstance(failure, LocalTokenNotFoundError):
        return "not logged in to the Hub: run `hf auth login` or set HF_TOKEN"
    if isinstance(failure, RevisionNotFoundError):
        return f"{repo_id} has no such revision (404)"
    said = getattr(failure, "server_message", None)
    said = f", and said: {one_line(said)}" if said else ""
    asked = _retry_after(failure)
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
    if status is not None and status >= 500:
        return f"the Hub is out of order ({status}): try again later"
    if status is not None:
        return f"the Hub refused ({status}{said})"
    if isinstance(failure, (HTTPError, ConnectionError, TimeoutError)):
        return f"the connection to the Hub broke off or could not be made ({type(failure).__name__})"
    if isinstance(failure, json.JSONDecodeError):
        return "the Hub gave an answer that cannot be read: try again later"
    return one_line(failure) or type(failure).__name__


def _failure(error: BaseException) -> BaseException:
    """The failed request behind an error, which uploads in threads and downloads wrap in their own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HTTPError):
        cause = cause.__cause__
    return error if cause is None else cause


def _status(error: BaseException) -> int | None:
    return getattr(getattr(_failure(error), "response", None), "status_code", None)


def _retry_after(failure: BaseException) -> float | None:
    """Seconds that the Hub asks to wait, by `Retry-After` in either of its forms or by its own `RateLimit`."""
    headers = getattr(getattr(failure, "response", None), "headers", None) or {}
    asked = headers.get("Retry-After", "")
    limit = re.search(r"\br=0;t=(\d{1,9})", headers.get("RateLimit", ""))
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    if asked:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
        except ValueError:
            return None
    return float(limit[1]) if limit else None
