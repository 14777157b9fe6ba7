"""Publish a model: `prepare` its repository in a folder, `validate` it, and let `upload.publish` send it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..actions import load_actions
from ..files import refuse_folder
from ..runs.dataset_name import check_repo_id
from .build import build
from .check import check
from .folder import contents, is_built, is_model_folder, is_repository
from .replacement import put_back
from .trial import validate

__all__ = ["build", "check", "contents", "is_built", "prepare", "validate"]

BUILT_IN_RUN = "hub"  # the folder of a run that its repository is built in
BUILD_FOLDER = "build"  # in the current folder, for all other repositories


def prepare(folder: str | os.PathLike, repo_id: str, target: str | os.PathLike | None = None, **options: Any) -> Path:
    """Build the repository to publish for a folder, whose own files stay as they are.

    A repository that today's code has built for `repo_id` is taken as it is, if neither a target nor an option is given.

    Args:
        folder: a training run, a measured model that was trained elsewhere, a model folder or a repository.
        repo_id: where the repository will be published.
        target: the folder to build. By default `hub` in the folder of a run, else `build/NAME` in the current folder.
        options: further arguments of `build`.

    Returns:
        the repository's folder, absolute.

    Raises:
        ValueError: as `build`, or the repository would be built in place of a model folder or among its files.
        OSError: a file cannot be read or written.
    """
    check_repo_id(repo_id)
    put_back(folder)
    folder, name = Path(folder), repo_id.rpartition("/")[2]
    if target is None and all(value is None for value in options.values()) and _is_ready(folder, repo_id):
        return folder.resolve()
    is_run = not is_built(folder)
    if target is None:
        target = folder / BUILT_IN_RUN if is_run else Path(BUILD_FOLDER, name)
    source, place = folder.resolve(), Path(target).resolve()
    if place == source or (source in place.parents and not is_run):
        raise ValueError(
            f"{target} cannot be built: the files of {folder} must stay as they are; choose another --folder"
        )
    if is_model_folder(place):  # not a repository: it may be the only copy of another model
        refuse_folder(place, [*contents(place)])
    return build(folder, target, repo_id=repo_id, **options)


def _is_ready(folder: Path, repo_id: str) -> bool:
    return is_repository(folder) and load_actions(folder).name == repo_id
