"""Copies of Hub data sets in a local folder, so that the zoo trains without a network."""

from __future__ import annotations

from pathlib import Path

FOLDERS = {"ylecun/mnist": "mnist", "uoft-cs/cifar10": "cifar10"}


def local_copy(dataset: str, folder: Path | None) -> str:
    """The name of a data set's copy in `folder`: `rot-mnist:ylecun/mnist` becomes `rot-mnist:FOLDER/mnist`.

    A data set that FOLDERS does not list keeps its name, and so does every data set if `folder` is None.
    """
    prefix, colon, name = dataset.rpartition(":")
    return dataset if folder is None or name not in FOLDERS else f"{prefix}{colon}{folder / FOLDERS[name]}"
