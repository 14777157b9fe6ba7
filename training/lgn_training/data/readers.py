"""Where data sets come from. To add a place, append a `Reader` to READERS.

The first reader that accepts a name reads it, so that a local path wins over `digits` and over the Hub.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import datasets.config
import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import get_session, validate_repo_id
from PIL import Image

from lgn_hf.runs.dataset_name import DATASET_KINDS
from lgn_hf.texts import one_line
from lgn_training.data.class_names import Tables, files_of_builder, files_on_disk, follow_files, number_alike
from lgn_training.data.image_folders import METADATA, divide_by_folder, find_images, find_splits, read_classes
from lgn_training.data.image_sets import DataError
from lgn_training.data.path_tables import TABLE_KINDS, divide_by_column, options_of, tables_of_folder, with_images

logger = logging.getLogger("lgn_hf.training")

FILE_KINDS = {".parquet": "parquet", ".arrow": "arrow"}  # and what `datasets` calls them
TEST_FRACTION = 0.2  # of a data set without a test split
HUB_TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Reader:
    """A place that data sets come from.

    words: how an error message offers it, or None for the last resort.
    accepts: whether a name means a data set of this place.
    read: (name, config_name, data_seed) to the tables by split, or to one table. `data_seed` is for a data set that is
        divided here.
    """

    words: str | None
    accepts: Callable[[str], bool]
    read: Callable[[str, str | None, int], Dataset | DatasetDict | Tables]


def read_tables(name: str, config_name: str | None, data_seed: int) -> Tables:
    """The tables of a data set by split; one without splits is all `train`.

    Raises:
        DataError: the data set cannot be found, reached or read.
    """
    if not name:
        raise DataError(f"the data set has no name; {alternatives()}")
    reader = next(reader for reader in READERS if reader.accepts(name))
    try:
        loaded = reader.read(name, config_name, data_seed)
    except DataError:
        raise
    except Exception as error:  # `datasets` lets through the errors of every file format that it reads
        cause = error.__cause__ or error
        raise DataError(f"cannot read data set '{name}': {type(cause).__name__}: {one_line(cause, None)}") from error
    tables = loaded if isinstance(loaded, dict) else {"train": loaded}
    return number_alike(name, {str(split): table for split, table in tables.items()})


def alternatives() -> str:
    """What a user can give instead of a data set that is not there."""
    places = ", ".join(reader.words for reader in READERS if reader.words)
    prefixes = " or ".join(f"'{kind}:<one of these>'" for kind in DATASET_KINDS)
    return f"use {places}, or {prefixes}"


def exists_locally(name: str) -> bool:
    return Path(name).expanduser().exists()


def read_path(name: str, config_name: str | None, data_seed: int):
    """A file, a `save_to_disk` folder, or a folder of files, of tables for its splits, or of images.

    `datasets` locks its cache, so that several processes may read at once.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return read_file(name, path)
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        loaded = datasets.load_from_disk(str(path))
        tables = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
        tables = {str(split): table for split, table in tables.items()}
        return follow_files(name, tables, files_on_disk(path))
    images = [] if config_name else find_images(path.resolve())
    tables = tables_of_folder(path)
    try:
        if tables:
            return {split: read_table(name, file) for split, file in tables.items()}
    except DataError:  # they may be about something else than the images beside them
        if not images:
            raise
    if images:
        return read_images(name, path.resolve(), images)
    return load(name, str(path.resolve()), config_name)


def read_images(name: str, folder: Path, images: Sequence[Path]) -> Tables:
    """A folder of images. The labels come from its metadata files, or from its class folders if it has none."""
    files = [file for kind in METADATA for file in sorted(folder.rglob(kind))]
    if not files:
        return read_classes(folder, find_splits(folder, images))
    parts: dict[str, list[Dataset]] = {}
    for file in files:
        table = read_table(name, file).rename_columns({"file_name": "image"})
        place = file.parent.relative_to(folder).parts
        for split, rows in divide_by_folder(table, file.parent, place).items():
            parts.setdefault(split, []).append(rows)
    return {split: datasets.concatenate_datasets(tables) for split, tables in parts.items()}


def read_file(name: str, path: Path) -> Tables:
    """A file of rows, or a table of paths and labels, which may name the split of each row."""
    kind = path.suffix.lower()
    if kind in TABLE_KINDS:
        return divide_by_column(read_table(name, path))
    if kind not in FILE_KINDS:
        kinds = ", ".join([*FILE_KINDS, *TABLE_KINDS])
        raise DataError(f"'{name}' is not a file that can be read: the kinds are {kinds}, and folders")
    return load(name, FILE_KINDS[kind], data_files=str(path.resolve()))


def read_table(name: str, path: Path) -> Dataset:
    """A table of paths, which are relative to its folder, and labels."""
    kind, _ = TABLE_KINDS[path.suffix.lower()]
    (table,) = load(name, kind, data_files=str(path.resolve()), **options_of(path)).values()
    return with_images(name, table, path.resolve().parent)


def load(name: str, *arguments: Any, **options: Any) -> Tables:
    """What `datasets.load_dataset` loads, with labels that mean what their files say."""
    builder = datasets.load_dataset_builder(*arguments, **options)
    builder.download_and_prepare()
    tables: Any = builder.as_dataset()
    tables = {str(split): table for split, table in tables.items()}
    if builder.name == "imagefolder" and "drop_labels" not in options and any(map(_lacks_labels, tables.values())):
        # `datasets` leaves out the labels of a first split with a single class, whatever the others have.
        return load(name, *arguments, **options, drop_labels=False)
    if builder.name == "cache":  # offline, `datasets` takes what it has once prepared, without a look at the files
        try:
            snapshot = snapshot_download(name, repo_type="dataset", revision=builder.hash, local_files_only=True)
            builder = datasets.load_dataset_builder(snapshot, *arguments[1:], **options)
        except (OSError, ValueError):
            logger.warning("'%s' comes from the cache: whether its files order the classes alike is not checked", name)
            return tables
    return follow_files(name, tables, files_of_builder(builder))


def _lacks_labels(table: Dataset) -> bool:
    return "label" in table.column_names and table.data.column("label").null_count > 0


def read_digits(name: str, config_name: str | None, data_seed: int) -> Tables:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels; a fifth, stratified by class, is the test set."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    parts = train_test_split(images, labels, test_size=TEST_FRACTION, stratify=labels, random_state=data_seed)
    features = datasets.Features(image=datasets.Image(), label=ClassLabel(names=[str(digit) for digit in range(10)]))
    return {
        name: Dataset.from_dict({"image": [Image.fromarray(x) for x in xs], "label": ys}, features=features)
        for name, xs, ys in (("train", parts[0], parts[2]), ("test", parts[1], parts[3]))
    }


def read_hub(name: str, config_name: str | None, data_seed: int):
    """A data set of the Hub. If the Hub does not answer, the local cache is read at once instead of after retries."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise DataError(f"there is no file or folder '{name}'; {alternatives()}") from error
    offline = datasets.config.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception:  # whatever keeps the Hub from answering
        datasets.config.HF_HUB_OFFLINE = True
    try:
        return load(name, name, config_name)
    except DatasetNotFoundError as error:
        raise DataError(f"there is no local path '{name}', and on the Hub: {error} Else {alternatives()}") from error
    except ConnectionError as error:
        problem = "the Hub cannot be reached for a data set of that name"
        raise DataError(f"there is no local path '{name}', and {problem}; {alternatives()}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


READERS = (
    Reader(
        "a local folder (parquet files, class folders of images, or save_to_disk), a local file (CSV, JSON lines, parquet)",
        exists_locally,
        read_path,
    ),
    Reader("'digits'", lambda name: name == "digits", read_digits),
    Reader(None, lambda name: True, read_hub),
)
