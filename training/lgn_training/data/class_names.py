"""What the labels of a table mean, and how tables that number the same classes differently are brought together.

A label is a number. Only the file that holds it says which class the number stands for, and `datasets` gives all files of a
data set the class names of the first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DownloadConfig, DownloadManager, Features
from torch import Tensor

from lgn_training.data.image_sets import DataError

logger = logging.getLogger("lgn_hf.training")

Names = list[str]
Tables = dict[str, Dataset]
ROW_FORMATS = (".parquet", ".arrow")  # files that can name classes


@dataclass(frozen=True)
class DataFile:
    """One file of a split.

    num_rows: how many rows of the split it holds; None if they are not read in the order of the files.
    class_names: the names of the classes, for each column of class labels.
    """

    name: str
    num_rows: int | None
    class_names: Mapping[str, Names]


def files_of_builder(builder: datasets.DatasetBuilder) -> dict[str, list[DataFile]]:
    """The files of each split that `builder` reads, if they are of a kind that can name classes.

    Files of the Hub come from the cache of `datasets`, which has just read them.
    """
    given: Mapping[Any, Sequence[Any]] = builder.config.data_files or {}
    manager = DownloadManager(
        dataset_name=builder.dataset_name,
        base_path=builder.base_path,
        download_config=DownloadConfig(token=builder.token),
    )
    files = {}
    for split, sources in given.items():
        sources = [str(source) for source in sources if Path(str(source)).suffix in ROW_FORMATS]
        paths = manager.download(sources) if sources else []
        files[str(split)] = [read_file(path, source) for path, source in zip(paths, sources, strict=True)]
    if builder.name not in ("parquet", "arrow"):  # such as the metadata.parquet of an image folder
        files = {split: [replace(file, num_rows=None) for file in part] for split, part in files.items()}
    return files


def files_on_disk(folder: Path) -> dict[str, list[DataFile]]:
    """The files of each split of a folder that `save_to_disk` made; a folder without splits is all `train`."""
    if (folder / "state.json").exists():
        names = [entry["filename"] for entry in json.loads((folder / "state.json").read_text())["_data_files"]]
        return {"train": [read_file(folder / name, name) for name in names]}
    splits = json.loads((folder / "dataset_dict.json").read_text())["splits"]
    return {split: files_on_disk(folder / split)["train"] for split in splits}


def read_file(path: str | Path, name: str) -> DataFile:
    """What a parquet or Arrow file says of itself."""
    if Path(name).suffix == ".parquet":
        metadata = pq.read_metadata(path)
        return DataFile(name, metadata.num_rows, _class_names(metadata.schema.to_arrow_schema()))
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            batches = reader
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        num_rows = sum(batch.num_rows for batch in batches)
        return DataFile(name, num_rows, _class_names(reader.schema))


def _class_names(schema: pa.Schema) -> dict[str, Names]:
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    features = Features.from_arrow_schema(schema)
    return {column: feature.names for column, feature in features.items() if isinstance(feature, ClassLabel)}


def follow_files(dataset: str, tables: Tables, files: Mapping[str, Sequence[DataFile]]) -> Tables:
    """The tables with labels that mean what their features say, whatever order each file names the classes in.

    Raises:
        DataError: the files name different classes.
    """
    named = {column for part in files.values() for file in part for column in file.class_names}
    for column in sorted(named):
        tables = {
            split: _follow_files(dataset, table, column, files.get(split, ()), list(_namings(files, column)))
            for split, table in tables.items()
        }
    return tables


def _namings(files: Mapping[str, Sequence[DataFile]], column: str) -> Iterator[tuple[str, Names]]:
    """Each different naming of the classes of a column, with the first file that has it."""
    seen = []
    for file in (file for part in files.values() for file in part):
        names = file.class_names.get(column)
        if names is not None and names not in seen:
            seen.append(names)
            yield file.name, names


def _follow_files(
    dataset: str, table: Dataset, column: str, files: Sequence[DataFile], namings: Sequence[tuple[str, Names]]
) -> Dataset:
    feature = table.features.get(column)
    wanted = feature.names if isinstance(feature, ClassLabel) else namings[0][1]
    # One naming for all files may differ from the wanted one: the card of a data set can rename its classes.
    odd = next(((file, names) for file, names in namings if set(names) != set(wanted)), None)
    if odd and len(namings) > 1:
        (first, first_names), (other, names) = namings[0], odd if odd != namings[0] else namings[1]
        raise DataError(
            f"the files of data set '{dataset}' define the classes of column '{column}' differently: "
            f"{Path(first).name} has {first_names!s:.80}, {Path(other).name} has {names!s:.80}"
        )
    if odd or all(file.class_names.get(column, wanted) == wanted for file in files):
        return table
    if sum(file.num_rows or 0 for file in files) != len(table):
        raise DataError(
            f"the files of data set '{dataset}' order the classes of column '{column}' differently, and their rows cannot "
            "be told apart"
        )
    labels, parts, start = _column(table, column), [], 0
    for file in files:
        rows = labels.slice(start, file.num_rows)
        parts.append(_renumber(rows, file.class_names.get(column, wanted), wanted))
        start += len(rows)
    logger.warning(
        "the files of '%s' order the classes of column '%s' differently: their labels are matched by name",
        dataset,
        column,
    )
    return _replace(table, column, pa.concat_arrays(parts), ClassLabel(names=wanted))


def number_alike(dataset: str, tables: Tables) -> Tables:
    """The tables with the same number for each class, if they name the same classes in different orders."""
    first = tables.get("train", next(iter(tables.values())))
    for column, feature in first.features.items():
        for split, table in tables.items():
            own = table.features.get(column)
            if not (isinstance(feature, ClassLabel) and isinstance(own, ClassLabel)) or own.names == feature.names:
                continue
            if set(own.names) == set(feature.names):
                labels = _renumber(_column(table, column), own.names, feature.names)
                tables = {**tables, split: _replace(table, column, labels, feature)}
                logger.warning(
                    "the splits of '%s' order the classes of column '%s' differently: their labels are matched by name",
                    dataset,
                    column,
                )
    return tables


def match_labels(labels: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor | None:
    """Labels that number `names` as labels that number `wanted`; None unless both name the same classes.

    Example:
        >>> match_labels(torch.tensor([0, 1, 1]), ["cat", "dog"], ["dog", "cat"])
        tensor([1, 0, 0])
    """
    if sorted(names) != sorted(wanted):
        return None
    return labels.new_tensor([list(wanted).index(name) for name in names])[labels]


def _column(table: Dataset, column: str) -> pa.Array:
    values: Any = table.select_columns(column).with_format("arrow")[:]
    return values[column].combine_chunks()


def _renumber(labels: pa.Array, names: Names, wanted: Names) -> pa.Array:
    """The numbers in `wanted` of labels that are numbers in `names`; -1, for no label, stays."""
    numbers = pa.array([-1, *(wanted.index(name) for name in names)], pa.int64())
    return numbers.take(pc.call_function("add", [labels.cast(pa.int64()), pa.scalar(1)]))


def _replace(table: Dataset, column: str, labels: pa.Array, feature: ClassLabel) -> Dataset:
    return table.remove_columns(column).add_column(column, labels.to_pylist(), feature=feature)  # pyrefly: ignore[missing-attribute]
