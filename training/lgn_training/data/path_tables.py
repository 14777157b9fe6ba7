"""Tables of image paths and labels: CSV files and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, Value

from lgn_training.data.class_names import Tables
from lgn_training.data.image_sets import DataError

# The kinds of files: the loader of `datasets`, and its options. A class may be called "NA", so only an empty cell is missing.
CSV: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
TABLE_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", CSV),
    ".tsv": ("csv", {**CSV, "sep": "\t"}),
    ".jsonl": ("json", {}),
    ".ndjson": ("json", {}),
    ".json": ("json", {}),
}
PATH_COLUMNS = ("image", "img", "file_name", "filename", "file", "filepath", "image_path", "path")
SPLIT_COLUMN = "split"
SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_NAMES |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")


def tables_of_folder(folder: Path) -> dict[str, Path]:
    """The tables of a folder that has one for each split, such as train.csv and test.csv; else none."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLE_KINDS]
    tables = {SPLIT_NAMES[path.stem.lower()]: path for path in files if path.stem.lower() in SPLIT_NAMES}
    return tables if "train" in tables else {}


def options_of(path: Path) -> dict[str, Any]:
    """How the loader of `datasets` is to read a table. A CSV file may be separated by semicolons, as some spreadsheets do it."""
    options = TABLE_KINDS[path.suffix.lower()][1]
    if path.suffix.lower() == ".csv":
        with open(path, encoding="utf-8", errors="replace") as file:
            header = file.readline()
        if ";" in header and "," not in header:
            return {**options, "sep": ";"}
    return options


def with_images(name: str, table: Dataset, folder: Path) -> Dataset:
    """The table with its paths, which are relative to `folder`, as a column of images.

    Raises:
        DataError: no column holds paths of images.
    """
    columns = list(_path_columns(table, folder))
    if not columns and not set(PATH_COLUMNS) & {*table.column_names}:
        raise DataError(
            f"no column of '{name}' holds the paths of images, relative to {folder}: found {table.column_names!s:.80}"
        )
    for column in columns:
        paths = [None if path is None else str(_find(folder, path)) for path in table[column][:]]
        table = table.remove_columns(column).add_column(column, paths, feature=Value("string"))  # pyrefly: ignore[missing-attribute]
        table = table.cast_column(column, datasets.Image())
    return table


def _find(folder: Path, path: str) -> Path:
    """The file that a path means, which may be written as on Windows."""
    found = folder / path
    return found if found.exists() else folder / path.replace("\\", "/")


def _path_columns(table: Dataset, folder: Path) -> Iterator[str]:
    """The columns whose first text is the path of a file, or has the name of an image."""
    for column, feature in table.features.items():
        if isinstance(feature, Value) and feature.dtype in ("string", "large_string"):
            first = next((path for path in table[column][:100] if path), "")
            looks_like_one = column in PATH_COLUMNS and Path(first).suffix
            if first and (looks_like_one or _find(folder, first).is_file()):
                yield column


def divide_by_column(table: Dataset) -> Tables:
    """The splits that a column `split` names; without one, all is `train`."""
    if SPLIT_COLUMN not in table.column_names:
        return {"train": table}
    values = [SPLIT_NAMES.get(str(value).lower()) for value in table[SPLIT_COLUMN][:]]
    if None in values:
        unknown = table[SPLIT_COLUMN][values.index(None)]
        raise DataError(f"column '{SPLIT_COLUMN}' holds {unknown!r}: allowed are {', '.join(SPLIT_NAMES)}")
    return {  # pyrefly: ignore[bad-return]
        split: table.select([row for row, value in enumerate(values) if value == split])
        for split in dict.fromkeys(SPLIT_NAMES.values())
        if split in values
    }
