"""Some files to a data set or a static Space on the Hub, in one commit. (Models are published by `hub.publish`.)"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from .hub import HTTPError, PublishError, explain, retry

MADE_BY_THE_HUB = {".gitattributes", "style.css"}  # the latter in a new static Space, with a page and a card


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
        raise PublishError(f"{repo_type} {repo_id} is not published: {explain(error, repo_id)}") from None
    if refusal is not None:
        raise ValueError(f"{repo_type} {repo_id} {refusal}")
    return str(url)
