"""Which columns of a table hold the images and the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import ClassLabel, Dataset
from torch import Tensor

from lgn_training.data.image_sets import DataError
from lgn_training.data.splits import Rows

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")


def find_image_column(dataset: str, table: Dataset, given: str | None) -> str:
    """The given column, else the only one of images, else one with a well-known name."""
    columns = [given] if given else _candidates(table, datasets.Image, IMAGE_COLUMNS)
    if len(columns) == 1:
        return columns[0]
    problem = f"several image columns: {columns}" if columns else f"no image column: found {table.column_names}"
    raise DataError(f"data set '{dataset}' has {problem}; name one with `--image_column`")


def find_label_column(dataset: str, table: Dataset, given: str | None) -> str:
    """The given column, else the only one of class labels, else one with a well-known name."""
    columns = [given] if given else _candidates(table, ClassLabel, LABEL_COLUMNS)
    if len(columns) == 1:
        return columns[0]
    problem = f"several label columns: {columns}" if columns else f"no label column: found {table.column_names}"
    if not columns and table.column_names == ["image"] and (paths := _paths(table)):
        problem = f"no classes: {_folders(paths)}; or give a file with paths and labels, `--dataset FILE.csv`"
    raise DataError(
        f"data set '{dataset}' has {problem}; name one with `--label_column`; "
        "reconstruction (`--task reconstruction`) needs none"
    )


def _paths(table: Dataset) -> list[Path]:
    """The paths of images that are files of their own."""
    cells: Any = table.cast_column("image", datasets.Image(decode=False))["image"][:]
    return [Path(cell["path"]) for cell in cells if cell and cell["bytes"] is None]


def _folders(paths: Sequence[Path]) -> str:
    """Why the folders of images are not classes."""
    depths = Counter(len(path.parts) for path in paths)
    if len(depths) > 1:
        (rare, count) = depths.most_common()[-1]
        odd = next(path for path in paths if len(path.parts) == rare)
        return (
            f"a class is a folder of images, all at one depth, and {count} of the {len(paths)} images are at another depth than "
            f"most, such as {odd.parent.name}/{odd.name}"
        )
    return f"all of its {len(paths)} images are in a folder '{paths[0].parent.name}', and each class needs a folder of its own"


def _candidates(table: Dataset, feature_type: type, names: Sequence[str]) -> list[str]:
    """The columns of that type, or the well-known name among them, or among all if none has the type."""
    typed = [column for column, feature in table.features.items() if isinstance(feature, feature_type)]
    known = [name for name in names if name in (typed or table.column_names)]
    return known[:1] if known and len(typed) != 1 else typed


def check_columns(dataset: str, parts: Sequence[Rows], image_column: str, label_column: str | None) -> None:
    """Refuse splits without these columns, and splits whose classes differ."""
    for part in parts:
        for column in filter(None, (image_column, label_column)):
            if column not in part.table.column_names:
                found = part.table.column_names
                raise DataError(f"split '{part.split}' of '{dataset}' has no column '{column}': found {found}")
        if label_column and part.table.features[label_column] != parts[0].table.features[label_column]:
            first, other = (getattr(p.table.features[label_column], "names", "no names") for p in (parts[0], part))
            raise DataError(
                f"the splits of '{dataset}' define the classes of column '{label_column}' differently: "
                f"'{parts[0].split}' has {first!s:.80}, '{part.split}' has {other!s:.80}"
            )


def read_labels(parts: Sequence[Rows], column: str | None) -> tuple[list[str] | None, Sequence[Tensor | None]]:
    """The names of the classes, and the labels of each part as positions among them."""
    if column is None:
        return None, [None] * len(parts)
    feature = parts[0].table.features[column]
    values = [np.asarray(part.table.with_format("numpy", columns=[column])[column][:]) for part in parts]
    for part in parts:
        missing = cast(pa.Table, part.table.select_columns(column).with_format("arrow")[:])[column].null_count
        if missing:
            raise DataError(f"split '{part.split}' has {missing} rows without a label in column '{column}'")
    if any(value.ndim > 1 or value.dtype.kind not in "biuU" for value in values):
        raise DataError(f"label column '{column}' ({feature}) must hold one integer or string in every row")
    if isinstance(feature, ClassLabel):
        names = feature.names
    else:
        classes = np.unique(np.concatenate(values))
        names = [str(name) for name in classes]
        values = [np.searchsorted(classes, value) for value in values]
    labels = [torch.from_numpy(value.astype(np.int64))[part.index] for value, part in zip(values, parts, strict=True)]
    for part, label in zip(parts, labels, strict=True):
        if (label < 0).any():
            raise DataError(f"split '{part.split}' has rows without a label (-1) in column '{column}'")
    return names, labels
