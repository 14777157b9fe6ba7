"""Read a trained run from its folder, and refuse one whose files do not belong together.

A model folder is a trained run too: it holds the same files and more.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..model.configuration_lgn import LGNConfig
from ..model.image_processing_lgn import LGNImageProcessor
from ..runs.task import TASKS
from ..runs.trained_model import CONFIG_NAME, RESULTS_NAME, WEIGHTS_NAME
from ..texts import one_line_without_tokens
from .cards import BASELINE_NAME, RECIPE_NAME
from .folder import PROCESSOR_NAME, RUN_FILES

SAME_IN_RECIPE = (
    "num_groups",
    "group_order",
    "num_layers",
    "filter_size",
    "action",
    "tied",
)  # as in the configuration


@dataclass(frozen=True)
class TrainedRun:
    """What a run left.

    model: with its head. processor: makes the model's images. results: `all_results.json`. recipe: `recipe.yaml`.
    """

    model: Any
    processor: Any
    results: dict[str, Any]
    recipe: dict[str, Any]


def read_run(folder: str | os.PathLike) -> TrainedRun:
    """Read a complete run.

    Raises:
        ValueError: the run is not complete, a file is damaged, or the files are of different runs.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: give the output_dir of a training run")
    if not (folder / RESULTS_NAME).is_file():
        raise ValueError(
            f"{folder} holds no complete run (no {RESULTS_NAME}): finish it with --resume; "
            "a model trained elsewhere is uploaded by model.push_to_hub and processor.push_to_hub, or trained on with "
            "--model_name_or_path"
        )
    missing = [name for name in RUN_FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}: give the output_dir of a training run")
    results, recipe = _read_results(folder / RESULTS_NAME), _read_recipe(folder / RECIPE_NAME)
    model = _load_model(folder, results, recipe)
    processor = LGNImageProcessor.from_pretrained(folder)
    made, taken = ((part.num_channels, part.image_size) for part in (processor, model.config))
    if made != taken:
        raise ValueError(f"{folder}: {PROCESSOR_NAME} makes images {made}, which {CONFIG_NAME} does not take")
    return TrainedRun(model, processor, results, recipe)


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
    if baseline is None:
        path = Path(folder, BASELINE_NAME)
        return _read_results(path) if path.is_file() else None
    path = Path(baseline)
    path = path / RESULTS_NAME if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"baseline {baseline} is neither a complete run nor its {RESULTS_NAME}")
    found = _read_results(path)
    order = found["recipe"].get("group_order")
    if order != 1:
        raise ValueError(f"baseline {baseline} has group_order {order!r}: must be 1")
    ours, theirs = ((part["recipe"].get("task"), part["data"].get("test")) for part in (results, found))
    if ours != theirs:
        raise ValueError(
            f"baseline {baseline} is of {theirs[0]} with {theirs[1]} test images, the run of {ours[0]} with {ours[1]}: "
            "must be the same"
        )
    return found


def _read_results(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
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


def _load_model(folder: Path, results: dict[str, Any], recipe: dict[str, Any]) -> Any:
    """Load the model with the head for the recipe's task, if configuration, recipe, results and weights agree."""
    config = LGNConfig.from_pretrained(folder)
    task = TASKS.get(str(recipe.get("task", "classification")))
    if config.model_type != "lgn" or task is None or config.architectures != [task.model_class.__name__]:
        allowed = ", ".join(f"{task.model_class.__name__} for {task.name}" for task in TASKS.values())
        raise ValueError(
            f"{folder}: {CONFIG_NAME} describes {config.architectures}, {RECIPE_NAME} the task {recipe.get('task')!r}; "
            f"allowed are {allowed}"
        )
    for source, fields in ((RECIPE_NAME, recipe), (f"{RESULTS_NAME}'s recipe", results["recipe"])):
        for field in SAME_IN_RECIPE:
            if field in fields and fields[field] != getattr(config, field):
                raise ValueError(
                    f"{folder}: {CONFIG_NAME} and {source} are of different runs: {field} is "
                    f"{getattr(config, field)!r} and {fields[field]!r}"
                )
    try:
        model: Any = task.model_class.from_pretrained(folder)
    except RuntimeError as error:
        reason = one_line_without_tokens(error)
        raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {reason}") from None
    count = sum(p.numel() for name, p in model.named_parameters() if "auxiliary" not in name)
    if count != results.get("parameters", count):
        raise ValueError(
            f"{folder}: {WEIGHTS_NAME} has {count:,} parameters, the model of {RESULTS_NAME} {results['parameters']:,}"
        )
    return model
