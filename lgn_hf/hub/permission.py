"""Whether a name can be published to: asked before hours of training, and again before an upload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_token
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.errors import RepositoryNotFoundError

from ..runs.dataset_name import check_repo_id
from ..runs.family import FAMILIES
from .errors import EXPECTED, PublishError, explain
from .retry import retry

LOG_IN = "not logged in to the Hub: run `hf auth login` or set HF_TOKEN"


class Refusal(ValueError):
    """What the Hub has under this name must not be touched."""


def check_can_publish(repo_id: str, repo_type: str = "model", *, private: bool = False) -> None:
    """Refuse what publishing would refuse at its end. It takes two or three short requests, and changes nothing.

    A fine-grained token is trusted for a repository that does not exist yet: the Hub does not say whether it may make
    one.

    Args:
        repo_id: USER/NAME, or NAME for your own.
        repo_type: "model", "dataset" or "space".
        private: the repository is to be private.

    Raises:
        ValueError: the name is not valid, or the repository is public or holds something else.
        PublishError: there is no token, it may not write under this name, or the Hub cannot be reached.
    """
    check_repo_id(repo_id)
    if not get_token():
        raise PublishError(f"{repo_id} cannot be published to: {LOG_IN}")
    api = HfApi()
    try:
        user = retry(api.whoami, attempts=3)
        namespace, _, name = repo_id.rpartition("/")
        _check_namespace(user, namespace or user["name"], repo_id)
        retry(lambda: _check_repository(api, f"{namespace or user['name']}/{name}", repo_type, private), attempts=3)
    except (Refusal, PublishError) as error:
        raise error from None
    except EXPECTED as error:
        raise PublishError(f"{repo_id} cannot be published to: {explain(error, repo_id)}") from None


def _check_namespace(user: Mapping[str, Any], namespace: str, repo_id: str) -> None:
    """Refuse the name of somebody else, and a token that can only read."""
    token = user.get("auth", {}).get("accessToken") or {}
    if token.get("role") == "read":
        raise PublishError(
            f"{repo_id} cannot be published to: your token can only read; make one that can write at hf.co/settings/tokens"
        )
    writable = [user["name"], *(org["name"] for org in user.get("orgs", ()) if org.get("roleInOrg") != "read")]
    if namespace.lower() not in map(str.lower, writable):
        allowed = ", ".join(f"{name}/..." for name in writable)
        raise PublishError(f"{repo_id} cannot be published to: your token may write to {allowed}")


def _check_repository(api: HfApi, repo_id: str, repo_type: str, private: bool) -> None:
    """Refuse a repository that is there and cannot be written to, is public, or holds something else than an LGN."""
    try:
        info: Any = api.repo_info(repo_id, repo_type=repo_type)
    except RepositoryNotFoundError:
        return
    api.auth_check(repo_id, repo_type=repo_type, write=True)
    check_visibility(repo_id, info, private)
    if repo_type == "model":
        check_occupant(api, repo_id, info)


def check_visibility(repo_id: str, info: Any, private: bool) -> None:
    """Refuse a public repository for what is to be private."""
    if private and info.private is False:
        raise Refusal(f"{repo_id} is public: make it private on the Hub first, or publish without private")


def check_occupant(api: HfApi, repo_id: str, info: Any) -> None:
    """Refuse a repository that holds something else than an LGN."""
    there = {sibling.rfilename for sibling in info.siblings or ()}
    if not there - {".gitattributes"}:
        return
    kind = None
    if CONFIG_NAME in there:
        try:
            path = api.hf_hub_download(repo_id, CONFIG_NAME, revision=info.sha)
            kind = str(json.loads(Path(path).read_bytes())["model_type"])
        except (ValueError, KeyError, TypeError):
            kind = "unknown"
        if kind in FAMILIES:
            return
    what = f"a model of type {kind!r:.40}" if kind else f"other files ({', '.join(sorted(there)[:3])}, ...)"
    raise Refusal(
        f"{repo_id} is taken: it holds {what}, not an LGN; choose another name, or empty it on the Hub first"
    )
