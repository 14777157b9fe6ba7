"""How the images of a data set are divided into splits, and rotated. To add a division, append it to DIVISIONS.

A division is named by the prefix of a data set. `lgn_hf.runs.sources.DATASET_KINDS` lists the prefixes and says what a
model card calls them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import datasets
import torch
from datasets import Dataset
from torch import Tensor

from lgn_hf.runs.dataset_name import kind_and_place
from lgn_hf.texts import one_line
from lgn_training.data.image_sets import DataError
from lgn_training.data.readers import TEST_FRACTION, Tables, read_tables
from lgn_training.data.seeds import seeded_generator
from lgn_training.data.transforms import rotation_angles

logger = logging.getLogger("lgn_hf.training")

ROT_MNIST_TRAIN, ROT_MNIST_TEST = 12_000, 50_000
ROT_MNIST_VALIDATION = 2_000  # of the training images
VALIDATION_FRACTION = 0.1


@dataclass
class Rows:
    """Rows of one table that are still to be decoded, and the angle that each image is then rotated by."""

    split: str
    table: Dataset
    index: Tensor
    angles: Tensor | None = None

    @classmethod
    def all(cls, split: str, table: Dataset) -> Rows:
        return cls(split, table, torch.arange(len(table)))

    def __len__(self) -> int:
        return len(self.index)

    def select(self, positions: Tensor) -> Rows:
        positions = positions.sort().values  # a table is read fastest in order
        angles = None if self.angles is None else self.angles[positions]
        return replace(self, index=self.index[positions], angles=angles)

    def divide(self, size: int, generator: torch.Generator) -> tuple[Rows, Rows]:
        """`size` rows at random, and the rest."""
        order = torch.randperm(len(self), generator=generator)
        return self.select(order[:size]), self.select(order[size:])

    def limit(self, size: int | None, seed: int) -> Rows:
        return self if size is None else self.divide(size, seeded_generator(seed))[0]


Splits = dict[str, Rows]


@dataclass(frozen=True)
class Division:
    """A way to divide a data set.

    divide: (tables, name of the data set, data_seed) to the splits `train` and `test`, and perhaps `validation`.
    validation_fraction: share of the training images to validate on, by default.
    pools: whether all images are pooled first, so that it may train on the data set's own test images.
    """

    divide: Callable[[Tables, str, int], Splits]
    validation_fraction: float = VALIDATION_FRACTION
    pools: bool = False


def division_of(dataset: str) -> Division:
    """The division that the prefix of a data set names."""
    return DIVISIONS[kind_and_place(dataset)[0]]


def open_splits(dataset: str, config_name: str | None, data_seed: int) -> Splits:
    """The splits `train` and `test`, and `validation` if the data set has all three.

    Raises:
        DataError: the data set cannot be read, or lacks a split.
    """
    tables = read_tables(kind_and_place(dataset)[1], config_name, data_seed)
    return division_of(dataset).divide(tables, dataset, data_seed)


def own_splits(tables: Tables, dataset: str, data_seed: int) -> Splits:
    """The splits that the data set has; a test set is held out of a single one."""
    if len(tables) == 1:
        return _hold_out(Rows.all(*next(iter(tables.items()))), dataset, data_seed)
    splits = {name: Rows.all(name, table) for name, table in tables.items()}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    if not {"train", "test"} <= splits.keys():
        raise DataError(f"data set '{dataset}' needs a split named train and one named test: found {list(tables)}")
    return splits


def _hold_out(rows: Rows, dataset: str, data_seed: int) -> Splits:
    test, train = rows.divide(round(TEST_FRACTION * len(rows)), seeded_generator(data_seed))
    logger.info("'%s' has no test split: %d of its %d images are held out as one", dataset, len(test), len(rows))
    return {"train": train, "test": test}


def rotated(tables: Tables, dataset: str, data_seed: int) -> Splits:
    """The data set's own splits, each image rotated by an angle of its own."""
    splits = own_splits(tables, dataset, data_seed)
    sizes = [len(rows) for rows in splits.values()]
    angles = rotation_angles(sum(sizes), data_seed).split(sizes)
    return {name: replace(rows, angles=own) for (name, rows), own in zip(splits.items(), angles, strict=True)}


def rot_mnist(tables: Tables, dataset: str, data_seed: int) -> Splits:
    """All images, each rotated by an angle of its own, divided as the rot-MNIST benchmark divides them.

    A data set with fewer images is divided in the same proportion.
    """
    try:
        table = datasets.concatenate_datasets(list(tables.values()))
    except ValueError as error:
        raise DataError(f"the splits of '{dataset}' do not fit together: {one_line(error, None)}") from error
    pool = Rows.all("+".join(tables), table)
    pool.angles = rotation_angles(len(pool), data_seed)
    scale = min(1, len(pool) / (ROT_MNIST_TRAIN + ROT_MNIST_TEST))
    train, rest = pool.divide(round(scale * ROT_MNIST_TRAIN), seeded_generator(data_seed))
    return {"train": train, "test": rest.limit(round(scale * ROT_MNIST_TEST), data_seed)}


DIVISIONS = {
    "": Division(own_splits),
    "rotated:": Division(rotated),
    "rot-mnist:": Division(rot_mnist, ROT_MNIST_VALIDATION / ROT_MNIST_TRAIN, pools=True),
}
