"""Read a trained model from its folder, and refuse one whose files do not belong together.

The folder is that of a run, or of a model that was trained elsewhere and then measured by `evaluate_model.py --record`. A
model folder is one of these, too: it holds the same files and more.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..model.image_processing_lgn import LGNImageProcessor
from ..runs.evaluation import EVALUATION_NAME, EvaluationResults, weights_fingerprint
from ..runs.family import FAMILIES, family_of, read_config
from ..runs.trained_model import CONFIG_NAME, RESULTS_NAME, WEIGHTS_NAME
from ..texts import one_line_without_tokens
from .cards import BASELINE_NAME, RECIPE_NAME
from .folder import NETWORK_FILES, PROCESSOR_NAME, is_trained_elsewhere

# The fields that the recipe and the configuration of a run both have; those that the family lacks do not matter.
SAME_IN_RECIPE = ("num_groups", "group_order", "num_layers", "filter_size", "action", "tied")
SAME_IN_RECIPE += ("group", "num_orbits", "depths", "share_norms", "orbit_pooling", "spatial_pooling", "downsampling")


@dataclass(frozen=True)
class TrainedRun:
    """What a run left.

    model: with its head. processor: makes the model's images. results: `all_results.json`. recipe: `recipe.yaml`; None for
    a model that was trained elsewhere, whose results are `evaluation.json`.
    """

    model: Any
    processor: Any
    results: dict[str, Any]
    recipe: dict[str, Any] | None


def read_run(folder: str | os.PathLike) -> TrainedRun:
    """Read a complete run, or a model that was trained elsewhere.

    Raises:
        ValueError: the run is not complete, a file is damaged, or the files are of different runs or models.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: give the output_dir of a training run")
    is_elsewhere = is_trained_elsewhere(folder)
    if not is_elsewhere:
        _check_complete(folder)
    missing = [name for name in NETWORK_FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}: save the model and its image processor in it")
    run = _read_evaluated(folder) if is_elsewhere else _read_own_run(folder)
    made, taken = ((part.num_channels, part.image_size) for part in (run.processor, run.model.config))
    if made != taken:
        raise ValueError(f"{folder}: {PROCESSOR_NAME} makes images {made}, which {CONFIG_NAME} does not take")
    return run


def _check_complete(folder: Path) -> None:
    """Refuse a run that has not ended, and a model that nobody measured."""
    if not (folder / RECIPE_NAME).is_file():
        raise ValueError(
            f"{folder} holds no run of training/run.py (no {RECIPE_NAME}): a model that was trained elsewhere is first "
            f"measured with `training/evaluate_model.py {folder} --dataset SOURCE --record`"
        )
    if not (folder / RESULTS_NAME).is_file():
        raise ValueError(f"{folder} holds no complete run (no {RESULTS_NAME}): finish it with --resume")


def _read_own_run(folder: Path) -> TrainedRun:
    results, recipe = _read_results(folder / RESULTS_NAME), _read_recipe(folder / RECIPE_NAME)
    task, config = str(recipe.get("task", "classification")), read_config(folder)
    _check_task(folder, config, task, RECIPE_NAME)
    for source, fields in ((RECIPE_NAME, recipe), (f"{RESULTS_NAME}'s recipe", results["recipe"])):
        for field in SAME_IN_RECIPE:
            if field in fields and fields[field] != getattr(config, field, fields[field]):
                raise ValueError(
                    f"{folder}: {CONFIG_NAME} and {source} are of different runs: {field} is "
                    f"{getattr(config, field)!r} and {fields[field]!r}"
                )
    model = _load_model(folder, config, task)
    count = sum(p.numel() for name, p in model.named_parameters() if "auxiliary" not in name)
    if count != results.get("parameters", count):
        raise ValueError(
            f"{folder}: {WEIGHTS_NAME} has {count:,} parameters, the model of {RESULTS_NAME} {results['parameters']:,}"
        )
    return TrainedRun(model, LGNImageProcessor.from_pretrained(folder), results, recipe)


def _read_evaluated(folder: Path) -> TrainedRun:
    results = EvaluationResults.from_json(_read_json(folder / EVALUATION_NAME))
    config = read_config(folder)
    _check_task(folder, config, results.task_name, EVALUATION_NAME)
    model = _load_model(folder, config, results.task_name)
    processor = LGNImageProcessor.from_pretrained(folder)
    if (weights_fingerprint(model), processor.whitening) != (results.model.weights, results.whitening):
        raise ValueError(
            f"{folder}: the model was changed after {EVALUATION_NAME} was measured: measure it again with "
            f"`training/evaluate_model.py {folder} --dataset SOURCE --record`"
        )
    return TrainedRun(model, processor, results.to_json(), None)


def read_baseline(
    baseline: str | os.PathLike | None, folder: str | os.PathLike, results: dict[str, Any]
) -> dict[str, Any] | None:
    """The results of a run without groups, to compare a run with.

    Args:
        baseline: the folder of the run without groups, or its `all_results.json`. By default, the results that `folder`
            holds already, if it is a model folder with a baseline.
        folder: of the run that is compared.
        results: of that run.

    Raises:
        ValueError: the baseline is not a complete run, has groups, or was tested on other data.
    """
    if baseline is not None and "recipe" not in results:
        raise ValueError(
            f"baseline {baseline}: {folder} was trained elsewhere, and only runs of training/run.py can be compared"
        )
    if baseline is None:
        path = Path(folder, BASELINE_NAME)
        return _read_results(path) if path.is_file() else None
    path = Path(baseline)
    path = path / RESULTS_NAME if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"baseline {baseline} is neither a complete run nor its {RESULTS_NAME}")
    found = _read_results(path)
    family, other = (family_of(part["recipe"]) for part in (results, found))
    if family is not other:
        raise ValueError(
            f"baseline {baseline} has model_type {other.model_type!r}, the run {family.model_type!r}: must be the same"
        )
    field, free = family.free_twin
    if found["recipe"].get(field) != free:
        raise ValueError(f"baseline {baseline} has {field} {found['recipe'].get(field)!r}: must be {free}")
    ours, theirs = ((part["recipe"].get("task"), part["data"].get("test")) for part in (results, found))
    if ours != theirs:
        raise ValueError(
            f"baseline {baseline} is of {theirs[0]} with {theirs[1]} test images, the run of {ours[0]} with {ours[1]}: "
            "must be the same"
        )
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error})") from None


def _read_results(path: Path) -> dict[str, Any]:
    results = _read_json(path)
    recipe, data = (results.get(part) if isinstance(results, dict) else None for part in ("recipe", "data"))
    if not (isinstance(data, dict) and isinstance(recipe, dict) and isinstance(recipe.get("dataset"), str)):
        raise ValueError(
            f"{path} is not what training/run.py writes: it must have `recipe`, with `dataset`, and `data`"
        )
    return results


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {one_line_without_tokens(error)}") from None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("dataset"), str):
        raise ValueError(f"{path} is not what training/run.py writes: it must be a mapping of fields, with `dataset`")
    return recipe


def _check_task(folder: Path, config: Any, task_name: str, source: str) -> None:
    """Refuse a model without the head for a task, which the file `source` names."""
    tasks = FAMILIES[config.model_type].tasks
    if config.architectures != [tasks.get(task_name)]:
        allowed = ", ".join(f"{name} for {task}" for task, name in tasks.items())
        raise ValueError(
            f"{folder}: {CONFIG_NAME} describes {config.architectures}, {source} the task {task_name!r}; "
            f"allowed are {allowed}"
        )


def _load_model(folder: Path, config: Any, task_name: str) -> Any:
    try:
        return FAMILIES[config.model_type].network_class(task_name).from_pretrained(folder)
    except RuntimeError as error:
        reason = one_line_without_tokens(error)
        raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {reason}") from None
