"""Refuse a repository or a model folder that is not whole."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import torch
import yaml
from huggingface_hub import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..actions import TENSORS_NAME, load_actions
from ..runs.dataset_name import is_repo_id
from ..runs.trained_model import WEIGHTS_NAME
from ..texts import one_line_without_tokens
from .cards import CARD_NAME
from .folder import contents, foreign_files, missing_files, modules_of, own_modules
from .run_folder import read_run

PIPELINE_TAGS = ("image-classification", "image-to-image", "image-feature-extraction")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|\b(?:src|href)=[\"']([^\"']+)")
ADDRESS = re.compile(r"[a-z][a-z+.-]*:|//", re.IGNORECASE)


def check(folder: str | os.PathLike) -> None:
    """Refuse a repository that is not complete, or whose files do not belong together.

    Raises:
        ValueError: as `check_model_folder`, or a module for remote code is missing.
        OSError: a file cannot be read.
    """
    check_model_folder(folder)
    if missing := sorted(modules_of(folder).keys() - own_modules(folder)):
        raise ValueError(f"{folder} lacks modules for remote code ({', '.join(missing)}): build it first")


def check_model_folder(folder: str | os.PathLike) -> None:
    """Refuse a model folder that is not complete, or whose files do not belong together; modules may be there or not.

    Raises:
        ValueError: a file is missing, foreign or damaged, a number is not finite, the actions are not those of the
            weights, or the card's metadata break the Hub's rules.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    if missing := missing_files(folder):
        raise ValueError(f"{folder} is not a model folder: it lacks {', '.join(missing)}")
    if foreign := foreign_files(folder):
        raise ValueError(f"{folder} is not a model folder: it also holds {', '.join(foreign)}")
    for path in contents(folder):
        if (folder / path).is_symlink():
            raise ValueError(f"{folder}: {path} is a link: must be a file")
        if path.endswith(".safetensors"):
            _check_tensors(folder, path)
    actions = read_run(folder).model.actions().matrices
    saved = load_actions(folder).matrices
    if actions.shape != saved.shape or not torch.allclose(saved, actions, rtol=1e-3, atol=1e-5):
        raise ValueError(f"{folder}: {TENSORS_NAME} does not hold the actions of {WEIGHTS_NAME}")
    _check_metadata(folder)
    _check_links(folder)


def _check_tensors(folder: Path, path: str) -> None:
    try:
        tensors = load_file(folder / path)
    except SafetensorError as error:
        raise ValueError(f"{folder}: {path} is damaged or incomplete ({error})") from None
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{folder}: {key} of {path} holds numbers that are not finite")


def _check_metadata(folder: Path) -> None:
    """Hold the card's metadata against the Hub's rules, as far as that works without asking the Hub."""
    try:
        data = metadata_load(folder / CARD_NAME) or {}
        results = model_index_to_eval_results(data["model-index"])[1] if "model-index" in data else []
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = one_line_without_tokens(repr(error))
        raise ValueError(f"{folder}: the metadata of {CARD_NAME} are not valid: {reason}") from None
    wrong = {name for name in ("license", "library_name", "pipeline_tag") if not isinstance(data.get(name), str)}
    for name in ("tags", "metrics", "datasets"):
        values = data.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            wrong.add(name)
    if data.get("pipeline_tag") not in PIPELINE_TAGS:
        wrong.add("pipeline_tag")
    if "datasets" not in wrong and not all(map(is_repo_id, data.get("datasets", []))):
        wrong.add("datasets")
    values = [result.metric_value for result in results]
    if not values or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        wrong.add("model-index")
    if wrong:
        raise ValueError(f"{folder}: {CARD_NAME} lacks these metadata or has wrong ones: {', '.join(sorted(wrong))}")


def _check_links(folder: Path) -> None:
    """Refuse a card that points to a file of the folder that is not there."""
    text = (folder / CARD_NAME).read_text(encoding="utf-8")
    for link in {(a or b).partition("#")[0] for a, b in LINK.findall(text)}:
        if link and not ADDRESS.match(link) and not (folder / link).is_file():
            raise ValueError(f"{folder}: {CARD_NAME} points to {link}, which is not there")
