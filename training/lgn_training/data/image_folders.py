"""Local folders of images: a folder per class, perhaps within a folder per split, or a metadata file with the labels.

The loader of `datasets` also takes splits from the names of files and classes. A file cat/test_1.png or a class `train` would
make it leave out all other images.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, Features
from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

from lgn_training.data.class_names import ROW_FORMATS, Tables
from lgn_training.data.path_tables import SPLIT_NAMES

logger = logging.getLogger("lgn_hf.training")

EXTENSIONS = frozenset(ImageFolder.EXTENSIONS)
METADATA = ("metadata.csv", "metadata.jsonl")
NOT_IMAGES = (
    ".txt",
    ".md",
    ".csv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".db",
    ".ini",
)  # and nobody thinks they are
MOST_NAMED = 5  # folders in a message


def find_images(folder: Path) -> list[Path]:
    """The images of a folder, sorted; none if it holds something else that `datasets` reads.

    Links are followed. Hidden files and folders are left out, and those that begin with two underscores.
    """
    files = sorted(_walk(folder, {os.path.realpath(folder)}), key=str)
    card = folder / "README.md"
    is_configured = card.is_file() and re.search(r"^(configs|dataset_info):", card.read_text(errors="replace"), re.M)
    if is_configured or any(file.suffix in ROW_FORMATS for file in files):
        return []
    images = [file for file in files if file.suffix.lower() in EXTENSIONS]
    others = Counter(file.suffix.lower() for file in files if file.parent != folder)
    unread = {kind: n for kind, n in others.items() if kind not in EXTENSIONS and kind not in NOT_IMAGES}
    if images and unread:
        kinds = ", ".join(f"{n} {kind or 'without an ending'}" for kind, n in sorted(unread.items()))
        logger.warning("'%s' holds files that are not read as images: %s", folder, kinds)
    return images


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.startswith((".", "__")):
            continue
        if not entry.is_dir():
            yield folder / entry.name
        elif (place := os.path.realpath(entry.path)) not in seen:  # else a link to a folder around it
            yield from _walk(folder / entry.name, seen | {place})


def find_splits(folder: Path, images: Sequence[Path]) -> dict[str, list[Path]]:
    """The images of each split.

    Folders are splits if their names are and one is for training: such as train and test, seg_train and seg_test, or Train
    and Valid. Beside other folders, they must hold folders of their own, since a class may be called train.
    """
    while len({image.relative_to(folder).parts[0] for image in images}) == 1 and _depth(images, folder) > 1:
        folder = folder / images[0].relative_to(folder).parts[0]  # one folder that holds all others
    groups: dict[str, list[Path]] = {}
    for image in images:
        groups.setdefault(image.relative_to(folder).parts[0], []).append(image)
    splits = {name: split for name in groups if (split := split_of(name))}
    others = groups.keys() - splits.keys()
    nested = all(_depth(groups[name], folder / name) > 0 for name in splits)
    if "train" not in splits.values() or (others and not nested):
        return {"train": [*images]}
    if others:
        shown = ", ".join(sorted(others)[:MOST_NAMED])
        logger.warning("'%s' is divided into %s: what else it holds is left out: %s", folder, ", ".join(splits), shown)
    found: dict[str, list[Path]] = {}
    for name, split in splits.items():
        found.setdefault(split, []).extend(groups[name])
    return found


def split_of(name: str) -> str | None:
    """The split that the name of a folder stands for, such as `seg_train`; None for other names."""
    words = [SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES]
    return words[0] if words else None


def _depth(images: Iterable[Path], folder: Path) -> int:
    """The least number of folders between a folder and its images."""
    return min(len(image.relative_to(folder).parts) - 1 for image in images)


def read_classes(folder: Path, splits: Mapping[str, Sequence[Path]]) -> Tables:
    """Tables of the images, with the folder of each as its class.

    There are no labels if there is only one class, or if the images of a split lie at different depths.
    """
    classes = {image.parent.name for images in splits.values() for image in images}
    depths = [{len(image.parts) for image in images} for images in splits.values()]
    features: dict[str, Any] = {"image": datasets.Image()}
    if len(classes) > 1 and all(len(own) == 1 for own in depths):
        features["label"] = ClassLabel(names=sorted(classes, key=_order(classes)))
        _warn_of_empty_folders(folder, {image.parent for images in splits.values() for image in images})
    tables = {}
    for split, images in splits.items():
        columns = {"image": [str(image) for image in images], "label": [image.parent.name for image in images]}
        tables[split] = Dataset.from_dict({name: columns[name] for name in features}, features=Features(features))
    return tables


def divide_by_folder(table: Dataset, folder: Path, place: Sequence[str]) -> Tables:
    """The rows of a metadata file in `folder`, by the split that its own folder or those of its images are named after.

    Args:
        place: the folders between the data set and `folder`.
    """
    own = next(filter(None, map(split_of, place)), None)
    if own:
        return {own: table}
    cells: Any = table.cast_column("image", datasets.Image(decode=False))["image"][:]
    tops = [Path(os.path.relpath(cell["path"], folder)).parts[0] if cell else "" for cell in cells]
    splits = [split_of(top) for top in tops]
    if None in splits or "train" not in splits:
        return {"train": table}
    return {  # pyrefly: ignore[bad-return]
        split: table.select([row for row, value in enumerate(splits) if value == split])
        for split in dict.fromkeys(splits)
        if split
    }


def _order(names: Iterable[str]) -> Any:
    """A key for sorting: 2 comes before 10 if all names are numbers."""
    return int if all(re.fullmatch(r"0|[1-9][0-9]*", name) for name in names) else str


def _warn_of_empty_folders(folder: Path, full: set[Path]) -> None:
    around = {parent for place in full for parent in place.parents}
    siblings = {place for parent in {place.parent for place in full} for place in parent.iterdir() if place.is_dir()}
    empty = sorted(place.name for place in siblings - full - around if not place.name.startswith((".", "__")))
    if empty:
        logger.warning(
            "'%s' has folders without images, which are not classes: %s", folder, ", ".join(empty[:MOST_NAMED])
        )
