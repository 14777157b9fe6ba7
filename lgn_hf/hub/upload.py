"""Upload models, data sets and Spaces: one commit or none."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from ..runs.dataset_name import check_repo_id
from ..runs.trained_model import CONFIG_NAME
from .check import check
from .errors import EXPECTED, PublishError, explain, status_of
from .folder import OPTIONAL_FILES, PROCESSOR_NAME, contents, matches, own_modules
from .permission import LOG_IN, Refusal, check_occupant, check_visibility
from .retry import retry

COLLECTION_SLUG = re.compile(r"[^/]+/.+-[0-9a-f]{24}")
MADE_BY_THE_HUB = {".gitattributes", "style.css"}  # the latter in a new static Space, with a page and a card

logger = logging.getLogger("lgn_hf.hub.upload")


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
    """Upload a built repository in one commit: the Hub has the old repository or the new one.

    Running it again is harmless: only what differs is uploaded, and if nothing differs there is no commit. Files of an
    older publication that this folder lacks are deleted on the Hub, modules included. Files that publishing does not
    make, such as a `handler.py`, stay.

    Args:
        folder: what `build` made.
        repo_id: USER/NAME, or NAME for your own. The repository is made if it does not exist.
        private: make a new repository private; a public one is refused.
        revision: branch; made from `main` if it does not exist.
        collection: the collection to add the model to: its slug, or USER/TITLE of one that is made if it does not exist.
        create_pr: open a pull request instead of committing to `main`.
        pause: waits between attempts, given the seconds.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        PublishError: the Hub refuses or cannot be reached. The folder stays, and the message ends with the command that
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
    _check_token(folder, command)

    api = HfApi()
    url, new = None, _NewRepository(api, repo_id, "model", pause)
    try:
        repo_id = new.make(private=private or None).repo_id
        if revision not in (None, "main") and not revision.startswith("refs/"):
            retry(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True), pause=pause)
        url = retry(
            lambda: _commit(api, folder, repo_id, private, revision, create_pr), pause=pause, once=create_pr
        )  # fmt: skip
        if collection is not None:
            retry(lambda: _collect(api, repo_id, collection, private), pause=pause)
    except Refusal as error:
        raise ValueError(str(error)) from None
    except EXPECTED as error:
        reason = explain(error, repo_id) + new.remove_if_empty()
        done = f"{folder} is not published" if url is None else f"published at {url}, but not in {collection}"
        raise PublishError(f"{done}: {reason}; to continue: {command}") from None
    except KeyboardInterrupt:
        new.remove_if_empty()
        raise
    return url


class _NewRepository:
    """A repository that is made if it does not exist, and removed again if nothing was committed to it."""

    def __init__(self, api: HfApi, repo_id: str, repo_type: str, pause: Callable[[float], None] = time.sleep):
        self.api, self.repo_id, self.repo_type, self.pause = api, repo_id, repo_type, pause
        self.is_new = False

    def make(self, **options: Any) -> Any:
        """Make it if it does not exist, and return its address, as `HfApi.create_repo` does."""
        make = partial(self.api.create_repo, self.repo_id, repo_type=self.repo_type, **options)
        try:
            url = retry(make, pause=self.pause)
            self.is_new = True
        except HfHubHTTPError as error:
            if status_of(error) not in (401, 402, 403, 409):
                raise
            url = retry(partial(make, exist_ok=True), pause=self.pause)
        self.repo_id = url.repo_id
        return url

    def remove_if_empty(self) -> str:
        """Delete it if `make` made it and it has no commit but the first, which the Hub makes.

        Returns:
            what the user should know: that the empty repository stays. Else an empty text.
        """
        if not self.is_new:
            return ""
        with contextlib.suppress(*EXPECTED):
            where: Any = {"repo_id": self.repo_id, "repo_type": self.repo_type}
            refs = self.api.list_repo_refs(**where, include_pull_requests=True)
            heads = {ref.target_commit for ref in (*refs.branches, *refs.tags, *(refs.pull_requests or ()))}
            if len(heads) > 1 or len(self.api.list_repo_commits(**where)) > 1:
                return ""
            self.api.delete_repo(**where)
            return ""
        return f" (the new repository {self.repo_id} stays on the Hub, maybe empty)"


def _check_token(folder: Path, command: str) -> None:
    """Refuse to start without a token, and to publish it."""
    token = get_token()
    if not token:
        raise PublishError(f"{LOG_IN}, then: {command}")
    for path in contents(folder):
        if token.encode() in (folder / path).read_bytes():
            raise ValueError(f"{folder}: {path} holds your token: remove it there and build again")


def _commit(api: HfApi, folder: Path, repo_id: str, private: bool, revision: str | None, create_pr: bool) -> str:
    """Commit what differs, on top of the commit that was seen, and return the address.

    `HfApi.upload_folder` would make several commits of a slow upload.
    """
    info = api.model_info(repo_id, revision=revision)
    there = {sibling.rfilename for sibling in info.siblings or ()}
    check_visibility(repo_id, info, private)
    check_occupant(api, repo_id, info)
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


def _published_before(api: HfApi, repo_id: str, sha: str | None, paths: set[str]) -> set[str]:
    """The files among these files of a repository that came with an older publication."""
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
    """Make the repository of a data set or a Space if it does not exist, and commit what differs in it.

    Running it again is harmless.

    Args:
        folder: where the files are.
        names: their paths in the folder and in the repository, whose other files stay.
        repo_id: USER/NAME, or NAME for your own.
        repo_type: "dataset", or "space" for a static Space.
        private: make a new repository private; a public one is refused.

    Returns:
        The address of the repository.

    Raises:
        ValueError: the repository is public or holds something else.
        PublishError: the Hub refuses or cannot be reached; nothing is half-published.
    """
    api, sdk = HfApi(), "static" if repo_type == "space" else None
    new = _NewRepository(api, repo_id, repo_type)
    try:
        url = new.make(space_sdk=sdk, private=private or None)
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
    except EXPECTED as error:
        reason = explain(error, repo_id) + new.remove_if_empty()
        raise PublishError(
            f"{repo_type} {repo_id} is not published: {reason}; run the same again to continue"
        ) from None
    except KeyboardInterrupt:
        new.remove_if_empty()
        raise
    if refusal is not None:
        raise ValueError(f"{repo_type} {repo_id} {refusal}")
    return str(url)
