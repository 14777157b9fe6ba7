"""The models that a command is given: their names, checked before torch and transformers are imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runs.trained_model import TrainedModel


def split_revision(model: str) -> tuple[str, str | None]:
    """A model as it is given, and the revision in USER/NAME@REVISION."""
    if os.path.exists(model):
        return model, None
    name, _, revision = model.partition("@")
    return name, revision or None


def check_names(models: Sequence[str], *repo_ids: str | None) -> None:
    """Refuse what cannot name a model or a repository."""
    from ..repository import check_name
    from ..runs.dataset_name import check_repo_id

    for model in models:
        check_name(split_revision(model)[0])
    for repo_id in repo_ids:
        if repo_id is not None:
            check_repo_id(repo_id)


def open_models(models: Sequence[str]) -> list[TrainedModel]:
    from ..runs.trained_model import open_trained_model

    return [open_trained_model(*split_revision(model)) for model in models]
