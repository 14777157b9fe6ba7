"""The actions of a model as files to work with, and the most structured actions of several models."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ..actions import RECORDS_NAME, TENSORS_NAME, Actions, strongest
from ..files import Output, refuse_folder
from ..runs.trained_model import TrainedModel

TABLE_NAME = "actions.csv"
OUTPUT = Output((TENSORS_NAME, RECORDS_NAME, TABLE_NAME, "figures/*.png"), TABLE_NAME, "layer,group,channel,label,")


def extract(source: TrainedModel, folder: str | os.PathLike) -> list[Path]:
    """Write a model's actions, their diagnostics as JSON and as a table, and their figures.

    Args:
        source: the model.
        folder: new, empty, or an earlier output of this function, which is replaced.

    Returns:
        The paths of `actions.safetensors`, `actions.json`, `actions.csv` and the figures.

    Raises:
        ValueError: `folder` holds something else.
    """
    from .cards import draw_figures

    folder = Path(folder)
    OUTPUT.check(folder)
    source.actions.save(folder)
    table = write_table(source.actions, folder / TABLE_NAME)
    return [folder / TENSORS_NAME, folder / RECORDS_NAME, table, *draw_figures(source.actions, folder, most=None)]


def check_output_dir(folder: str | os.PathLike, *others: str) -> None:
    """Refuse a folder for the outputs of `extract`, one per model, that holds something else.

    Args:
        folder: may be new.
        others: names of folders in it that may be there.

    Raises:
        ValueError: the folder is a file, or holds something else.
    """
    folder = Path(folder)
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    foreign = []
    for entry in (entry for entry in entries if not entry.name.startswith(".") and entry.name not in others):
        inside = OUTPUT.foreign_files(entry) if entry.is_dir() else [""]
        foreign += [f"{entry.name}/{path}".rstrip("/") for path in inside]
    refuse_folder(folder, foreign)


def write_table(actions: Actions, path: str | os.PathLike) -> Path:
    """Write `Actions.table` as CSV, one row per action. Returns the path.

    The columns are those of all rows. A score that an action lacks is an empty cell.
    """
    rows = actions.table()
    columns = dict.fromkeys(name for row in rows for name in row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return Path(path)


def most_structured(sources: Iterable[TrainedModel], count: int) -> list[dict[str, Any]]:
    """The distinct actions that are furthest above chance. Those with a label come first.

    Args:
        sources: the models.
        count: the most actions that are returned.

    Returns:
        rows of `Actions.table` without the identity of a group, with the name of the `model`. `structure` and `z` are the score that is furthest above
        chance, which may be that of the nearest known operation.
    """
    found: list[dict[str, Any]] = []
    for source in sources:
        actions = source.actions.distinct()
        for action, row, record in zip(actions, actions.table(), actions.diagnose(), strict=True):
            if actions.order > 1 and action.matrix.equal(torch.eye(actions.dim)):  # every group has it
                continue
            structure, score = strongest(record)
            found.append({"model": source.name, **row, "structure": structure, "z": score["z"]})
    return sorted(found, key=lambda row: (row["label"] is None, -row["z"]))[:count]
