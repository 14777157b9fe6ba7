"""A run's recipe and results as they are published: without the folders of the machine that trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..runs.dataset_name import data_name, is_repo_id, kind_and_place
from ..runs.group_origin import FOUND, read_group_source


def public_recipe(recipe: dict[str, Any], repo_id: str, dataset: str | None) -> dict[str, Any]:
    """A recipe that trains the same model elsewhere: no local folders, and no upload.

    Args:
        recipe: the fields of `recipe.yaml`.
        repo_id: of the model, USER/NAME or NAME. The recipe trains into `runs/NAME`. A group that was read from a folder is
            read from the repository, whose actions are its elements.
        dataset: the Hub's id of the data, for a run whose data was a local folder.
    """
    fixed = {
        "output_dir": f"runs/{repo_id.rpartition('/')[2]}",
        "resume": False,
        "push_to_hub": False,
        "hub_model_id": None,
        "hub_private_repo": False,
    }
    own: dict[str, Any] = {field: value for field, value in fixed.items() if field in recipe}
    if recipe.get("group_from"):
        own["group_from"] = repo_id
    if sources := recipe.get("also_test_on"):
        own["also_test_on"] = [_public_test(source, recipe["dataset"], dataset) for source in sources]
    return {**recipe, **own, "dataset": public_dataset(recipe["dataset"], dataset)}


def public_results(results: dict[str, Any], repo_id: str, dataset: str | None, note: str | None) -> dict[str, Any]:
    """The results of a run, with its recipe as `public_recipe` has it.

    Args:
        results: `all_results.json`.
        repo_id: of the model, USER/NAME or NAME.
        dataset: the Hub's id of the data, for a run whose data was a local folder.
        note: what a reader must know of the data.
    """
    data = {**results["data"]}
    if "source" in data:
        data["source"] = public_dataset(data["source"], dataset)
    if note:
        data["note"] = note
    own: dict[str, Any] = {"recipe": public_recipe(results["recipe"], repo_id, dataset), "data": data}
    if tests := results.get("also_tested_on"):
        trained_on = results["recipe"]["dataset"]
        own["also_tested_on"] = {_public_test(source, trained_on, dataset): test for source, test in tests.items()}
    if results["recipe"].get("group_from"):
        own["group_source"] = public_group_source(results, dataset)
    return {**results, **own}


def public_group_source(results: dict[str, Any], dataset: str | None) -> str:
    """The name of the actions that generate the group of a run, without a folder of the machine."""
    recipe = results["recipe"]
    source = results.get("group_source") or read_group_source(recipe["group_from"])
    if not source.startswith(FOUND):
        return Path(source).name
    return FOUND + _public_test(source.removeprefix(FOUND), recipe["dataset"], dataset)


def public_evaluation(results: dict[str, Any], dataset: str | None, note: str | None) -> dict[str, Any]:
    """The results of a model that was trained elsewhere, without the folder of its data; as `public_results`."""
    data = {**results["data"], "source": public_dataset(results["data"]["source"], dataset)}
    return {**results, "data": {**data, "note": note} if note else data}


def public_dataset(recorded: str, dataset: str | None) -> str:
    """The name of a run's data that means something elsewhere.

    Args:
        recorded: as the recipe names the data.
        dataset: the Hub's id of the data, for data that was a local folder. By default, the folder's name.

    Raises:
        ValueError: `dataset` is not an id, or the run names its data already and differently.
    """
    name, place = data_name(recorded), kind_and_place(recorded)[1]
    given = None if dataset is None else kind_and_place(dataset)[1]
    if given is not None and not (is_repo_id(given) and str(data_name(given)) == given):
        raise ValueError(f"dataset={dataset!r}: must be the id of a data set on the Hub, such as ylecun/mnist")
    is_folder = (name.id is None and place != "digits") or Path(place).exists()  # a run prefers the folder
    if not is_folder and given not in (None, place):
        raise ValueError(
            f"dataset={dataset!r}: the run was trained on {recorded!r} "
            "(only a local folder can be renamed, from where its path leads to it)"
        )
    return name.kind + (given or (name.last if is_folder else name.name))


def _public_test(source: str, trained_on: str, dataset: str | None) -> str:
    """The name of data that a run was tested on besides; `dataset` names it if it is the data that trained the run."""
    is_same = kind_and_place(source)[1] == kind_and_place(trained_on)[1]
    return public_dataset(source, dataset if is_same else None)
