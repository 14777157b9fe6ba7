"""A trained model to look at, from a folder or the Hub: its actions with their basis filters, and its results."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..actions import RECORDS_NAME, TENSORS_NAME, Actions, download, load_actions
from .dataset_name import DataName, data_name
from .evaluation import EVALUATION_NAME
from .family import FAMILIES, read_config

CONFIG_NAME, WEIGHTS_NAME, RESULTS_NAME = "config.json", "model.safetensors", "all_results.json"


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, as its files describe it.

    Attributes:
        name: of the repository or the folder.
        actions: its actions, with their basis filters if the weights are there.
        results: the object in `all_results.json` as it is, or in `evaluation.json` if the model was trained elsewhere; {}
            if there is no such file. `RunResults.from_json` or `EvaluationResults.from_json` reads it.
        folder: where its files are.
    """

    name: str
    actions: Actions
    results: dict[str, Any]
    folder: Path

    @property
    def recipe(self) -> dict[str, Any]:
        """The fields of its recipe, {} if the results have none."""
        return self._part("recipe")

    @property
    def dataset(self) -> DataName | None:
        """The data that it was trained on, or tested on if it was trained elsewhere; None if the results do not say."""
        recorded = self.recipe.get("dataset") if self.recipe else self._part("data").get("source")
        return data_name(recorded) if isinstance(recorded, str) and recorded else None

    @property
    def task(self) -> str | None:
        """The name of its task, None if the results do not say."""
        task = (self.recipe or self._part("model")).get("task")
        return None if task is None else str(task)

    @property
    def data_and_task(self) -> str:
        """Its task and data, such as `classification of ylecun/mnist`; its own name if the results do not say."""
        if self.dataset is None or self.task is None:
            return self.name
        return f"{self.task} of {self.dataset}"

    def _part(self, name: str) -> dict[str, Any]:
        """An object in the results, {} if there is none."""
        part = self.results.get(name)
        return part if isinstance(part, dict) else {}


def open_trained_model(repo_or_folder: str | os.PathLike, revision: str | None = None) -> TrainedModel:
    """Open a model to look at its actions. A published model is read from its action files, without transformers.

    Args:
        repo_or_folder: a folder of a trained model, a published model or saved actions, or the name of a repository.
        revision: branch, tag or commit of the repository.

    Raises:
        FileNotFoundError: the folder or repository holds neither a model nor actions.
        OSError: the repository cannot be read.
        ValueError: a file is damaged, or the files do not belong together.
    """
    folder, name = Path(repo_or_folder), str(repo_or_folder)
    if folder.is_dir():
        name = folder.resolve().name
    else:
        wanted = [TENSORS_NAME, RECORDS_NAME, CONFIG_NAME, WEIGHTS_NAME, RESULTS_NAME, EVALUATION_NAME]
        folder = download(name, revision, wanted)
    if (folder / TENSORS_NAME).is_file():
        actions = _with_basis(load_actions(folder), folder / WEIGHTS_NAME)
    elif (folder / CONFIG_NAME).is_file():
        config = read_config(folder)
        try:
            actions = FAMILIES[config.model_type].model_class(config.architectures).from_pretrained(folder).actions()
        except RuntimeError as error:
            raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {error}") from None
        actions.name = name
    else:
        raise FileNotFoundError(f"{repo_or_folder} holds neither a model ({CONFIG_NAME}) nor actions ({TENSORS_NAME})")
    results = EVALUATION_NAME if (folder / EVALUATION_NAME).is_file() else RESULTS_NAME
    return TrainedModel(name, actions, _results(folder / results), folder)


def _with_basis(actions: Actions, weights: Path) -> Actions:
    """Add the basis filters of the model that the actions belong to, if its weights are there."""
    if not weights.is_file():
        return actions
    try:
        with safe_open(weights, "pt") as file:
            names = FAMILIES.get(actions.config.get("model_type", "lgn"), FAMILIES["lgn"]).basis_names
            key = next((key for key in names if key in file.keys()), None)  # noqa: SIM118
            basis = None if key is None else file.get_tensor(key)
    except SafetensorError as error:
        raise ValueError(f"{weights} is not readable ({error}): download or save it again") from None
    if basis is None:
        return actions
    layers, groups = actions.matrices.shape[:2]
    if basis.dim() == 4:  # all elements of one group act on the filters of the first layer
        basis = basis.flatten(0, 1).expand(layers, groups, *basis.flatten(0, 1).shape)
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
