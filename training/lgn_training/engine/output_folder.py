"""The output folder: which run it holds, how files are put into it, and its upload."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import yaml

from lgn_hf.files import write_whole
from lgn_hf.hub.permission import check_can_publish
from lgn_hf.hub.publication import build, validate
from lgn_hf.hub.upload import publish
from lgn_hf.plotting import learning_curve, save_figure
from lgn_hf.runs.task import TASKS
from lgn_training.arguments import FREE_ON_RESUME, Recipe, RunArguments

CURVE_FILE = "learning_curve.png"
RECIPE_FILE, RESULTS_FILE, PROCESSOR_FILE = "recipe.yaml", "all_results.json", "preprocessor_config.json"
LOCK_FILE = ".run.lock"

logger = logging.getLogger("lgn_hf.training")


def resumes(recipe: Recipe, folder: Path) -> bool:
    """Whether `folder` holds a run that is to be continued.

    Raises:
        ValueError: it is a file, it holds something but --resume was not given, or its run has other fields.
    """
    refuse_file(folder)
    if not folder.exists() or not any(path.name != LOCK_FILE for path in folder.iterdir()):
        return False
    if not recipe.run.resume:
        raise ValueError(
            f"output_dir {folder} is not empty: continue the run in it with --resume, or choose another folder"
        )
    if not (folder / RECIPE_FILE).exists():
        raise ValueError(f"output_dir {folder} holds no run to resume (no {RECIPE_FILE}): choose another folder")
    defaults = asdict(RunArguments())  # of fields that are newer than the run
    saved, given = {**defaults, **yaml.safe_load((folder / RECIPE_FILE).read_text())}, recipe.fields()
    differing = [k for k in given if k not in FREE_ON_RESUME and saved.get(k) != given[k]]
    is_complete = (folder / RESULTS_FILE).exists()
    if differing:
        raise ValueError(
            f"cannot resume {folder}: "
            + ", ".join(f"{k} was {saved.get(k)!r} and is {given[k]!r}" for k in differing)
            + "; give the fields of the run, or choose another folder"
            + (f" and start from this model with --model_name_or_path {folder}" if is_complete else "")
        )
    return True


def refuse_file(folder: Path) -> None:
    """Raise a ValueError where the output folder is a file."""
    if folder.is_file():
        raise ValueError(f"output_dir {folder} is a file: choose a folder")


def install(folder: Path, save) -> None:
    """Call `save(directory)`, then move the files that it made into `folder`, each in one step.

    The processor's configuration is moved last, so that the whitening file that it names is there before it.
    """
    partial = folder / ".export.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        save(partial)
        for path in sorted(partial.iterdir(), key=lambda path: (path.name == PROCESSOR_FILE, path.name)):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def export(folder: Path, network, processor, results: dict) -> None:
    """Save the model and its learning curve in `folder`, and last its results, which mark the run as complete."""

    def save(directory: Path) -> None:
        network.save_pretrained(directory)
        processor.save_pretrained(directory)
        metric = TASKS[results["recipe"]["task"]].selection
        save_figure(learning_curve(results["history"], metric.name, metric.words), directory / CURVE_FILE, dpi=128)

    install(folder, save)
    write_whole(folder / RESULTS_FILE, json.dumps(results, indent=2) + "\n")


def check_push(folder: Path, args: RunArguments) -> None:
    """Refuse, before the training, a login or a name with which `push` would fail after it.

    Raises:
        ValueError: the name is not valid, or the Hub has something else under it.
        OSError: there is no token, it may not write under this name, or the Hub cannot be reached.
    """
    try:
        check_can_publish(_repo_id(folder, args), private=args.hub_private_repo)
    except OSError as error:
        raise OSError(
            f"{error}; or train without --push_to_hub, and publish with `lgn-hf publish {folder}`"
        ) from error


def _repo_id(folder: Path, args: RunArguments) -> str:
    return args.hub_model_id or folder.resolve().name


def push(folder: Path, args: RunArguments) -> None:
    """Build the model's repository in `folder`/hub with card and figures, check it, and upload it in one commit.

    Raises:
        ValueError: the Hub has something else under this name.
        OSError: the upload failed. Nothing is half-published, and the message ends with the command that continues.
    """
    name = _repo_id(folder, args)
    built = build(folder, folder / "hub", repo_id=name)
    validate(built)
    logger.info("pushed to %s", publish(built, name, private=args.hub_private_repo))
