"""One trained model to look at, from a folder or the Hub: its actions with their basis filters, and its results."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open

from ..actions import RECORDS_NAME, TENSORS_NAME, Actions, download, load_actions

CONFIG_NAME, WEIGHTS_NAME, RESULTS_NAME = "config.json", "model.safetensors", "all_results.json"
DATASET_KINDS = {"rot-mnist": "rot-", "rotated": "rotated "}  # what may precede the name of a data set, and its words
NO_USERS = ("data", "datasets")  # `data/mnist` is written like USER/NAME, and is a folder


@dataclass(frozen=True)
class DataName:
    """What a data set is called wherever it is spoken of: nothing of where it lay on the machine that was trained on.

    kind: `rot-mnist:`, `rotated:` or nothing. name: its id on the Hub, `digits`, or the last part of a local folder's path.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return self.kind + self.name

    @property
    def id(self) -> str | None:
        """On the Hub; None for data from elsewhere."""
        return self.name if "/" in self.name else None

    @property
    def last(self) -> str:
        """The name without the user."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """name: of the repository, or of the folder. actions: with basis filters where the weights are there.
    results: what `training/run.py` wrote about the run, {} where it wrote nothing. folder: where the files are."""

    name: str
    actions: Actions
    results: dict[str, Any]
    folder: Path

    @property
    def recipe(self) -> dict[str, Any]:
        """The fields of the run, {} where the results have none."""
        recipe = self.results.get("recipe")
        return recipe if isinstance(recipe, dict) else {}

    @property
    def dataset(self) -> DataName | None:
        """What the model was trained on, as its results say."""
        recorded = self.recipe.get("dataset")
        return data_name(recorded) if isinstance(recorded, str) and recorded else None

    @property
    def data_and_task(self) -> str:
        """What the model was trained on and for, as its results say; else its own name."""
        if self.dataset is None or "task" not in self.recipe:
            return self.name
        return f"{self.recipe['task']} of {self.dataset}"


def data_name(recorded: str) -> DataName:
    """The name of a data set that a run recorded as it was given. The text alone decides, so that it is the same from wherever
    it is read: USER/NAME is an id on the Hub unless USER is one of `NO_USERS`, all else is a path.

    Example:
        >>> [str(data_name(given)) for given in ("rotated:ylecun/mnist", "../shared/mnist", "data/mnist")]
        ['rotated:ylecun/mnist', 'mnist', 'mnist']
    """
    kind, place = kind_and_place(recorded)
    user, slash, _ = place.partition("/")
    if slash and user not in NO_USERS and place.isascii() and is_repo_id(place):
        return DataName(kind, place)
    parts = [part for part in re.split(r"[/\\]", place) if part not in ("", ".", "..", "~")]
    return DataName(kind, parts[-1] if parts else "data")


def is_repo_id(name: str) -> bool:
    """Whether a repository of the Hub can be called that: USER/NAME, or NAME."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def kind_and_place(dataset: str) -> tuple[str, str]:
    """`rot-mnist:`, `rotated:` or nothing, and the data set that it precedes."""
    kind = next((f"{kind}:" for kind in DATASET_KINDS if dataset.startswith(f"{kind}:")), "")
    return kind, dataset.removeprefix(kind)


def open_source(repo_or_folder: str | os.PathLike, revision: str | None = None) -> Source:
    """Find a model's actions: a published model's from their own files, without transformers, else the model's own.

    Args:
        repo_or_folder: a folder of a trained or published model or of saved actions, else the name of a repository.
        revision: branch, tag or commit of the repository.

    Raises:
        FileNotFoundError: there is neither a model nor actions.
        OSError: the repository cannot be read.
        ValueError: a file is damaged, or the files do not belong together.
    """
    folder, name = Path(repo_or_folder), str(repo_or_folder)
    if folder.is_dir():
        name = folder.resolve().name
    else:
        wanted = [TENSORS_NAME, RECORDS_NAME, CONFIG_NAME, WEIGHTS_NAME, RESULTS_NAME]
        folder = download(name, revision, wanted)
    if (folder / TENSORS_NAME).is_file():
        actions = _with_basis(load_actions(folder), folder / WEIGHTS_NAME)
    elif (folder / CONFIG_NAME).is_file():
        from ..model import modeling_lgn

        kind = (modeling_lgn.LGNConfig.from_pretrained(folder).architectures or [""])[0]
        model = getattr(modeling_lgn, kind if kind in modeling_lgn.__all__ else "LGNModel")
        try:
            actions = model.from_pretrained(folder).actions()
        except RuntimeError as error:
            raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {error}") from None
        actions.name = name
    else:
        raise FileNotFoundError(f"{repo_or_folder} holds neither a model ({CONFIG_NAME}) nor actions ({TENSORS_NAME})")
    return Source(name, actions, _results(folder / RESULTS_NAME), folder)


def _with_basis(actions: Actions, weights: Path) -> Actions:
    """The actions with the basis filters of the model they belong to, if its weights are there."""
    if not weights.is_file():
        return actions
    try:
        with safe_open(weights, "pt") as file:
            key = next((key for key in ("lgn.basis", "basis") if key in file.keys()), None)  # noqa: SIM118
            basis = None if key is None else file.get_tensor(key)
    except SafetensorError as error:
        raise ValueError(f"{weights} is not readable ({error}): download or save it again") from None
    if basis is None:
        return actions
    layers = actions.matrices.shape[0]
    if basis.dim() == 5 and basis.shape[0] == 1:  # tied layers have one set of filters
        basis = basis.expand(layers, *basis.shape[1:])
    try:
        whole = Actions(actions.matrices, actions.order, basis=basis, name=actions.name, config=actions.config)
    except ValueError as error:
        raise ValueError(f"{weights} does not belong to its {TENSORS_NAME}: {error}") from None
    actions.basis = whole.basis
    return actions


def _results(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not readable ({error}): download or save it again") from None
    if not isinstance(results, dict):
        raise ValueError(f"{path} must be one JSON object")
    return results
