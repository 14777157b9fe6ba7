"""Where a model is: a folder, or a repository on the Hub, whose files are downloaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .runs.dataset_name import is_repo_id

# What `from_pretrained` reads of a model and of its image processor.
MODEL_FILES = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "whitening.safetensors",
)


def find_folder(
    repo_or_folder: str | os.PathLike, revision: str | None = None, names: Sequence[str] = MODEL_FILES
) -> Path:
    """The folder of a model: the one that is given, or that of some downloaded files of a repository.

    Raises:
        OSError: see `download`.
    """
    folder = Path(repo_or_folder)
    return folder if folder.is_dir() else download(str(repo_or_folder), revision, names)


def check_name(repo_or_folder: str) -> None:
    """Refuse what is not a folder and cannot be the name of a repository. The Hub is not asked.

    Raises:
        FileNotFoundError: it is neither.
    """
    if not os.path.isdir(repo_or_folder) and not is_repo_id(repo_or_folder):
        what = "a file" if os.path.isfile(repo_or_folder) else "neither a folder nor the name of a repository"
        raise FileNotFoundError(f"{repo_or_folder} is {what}: must be a folder, or USER/NAME on the Hub")


def download(repo_id: str, revision: str | None, names: Sequence[str]) -> Path:
    """Download some files of a repository, all of one commit. Returns the folder that holds them.

    Raises:
        FileNotFoundError: this cannot be the name of a repository. The Hub is not asked.
        OSError: the repository cannot be read.
    """
    check_name(repo_id)

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    from .hub.errors import explain

    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=[*names]))
    except LocalEntryNotFoundError as error:
        folder = _cached_folder(repo_id, revision, names)
        if folder is not None:
            return folder
        reason = f"it is not in the cache, and {explain(error.__cause__ or error, repo_id)}"
        raise _unreadable(repo_id, reason) from None
    except HfHubHTTPError as error:
        raise _unreadable(repo_id, explain(error, repo_id)) from None


def _unreadable(repo_id: str, reason: str) -> OSError:
    return OSError(f"{repo_id} is neither a folder nor a repository that can be read: {reason}")


def _cached_folder(repo_id: str, revision: str | None, names: Sequence[str]) -> Path | None:
    """The folder of the files that were downloaded earlier, maybe not all of `names`; None if there is none."""
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(repo_id, name, revision=revision) for name in names if "*" not in name]
    return next((Path(path).parent for path in paths if isinstance(path, str)), None)
