"""Images of a data set, to draw patches from. Labels and splits play no part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runs.dataset_name import DATASET_KINDS, is_repo_id, kind_and_place
from ..texts import one_line

DIGITS = "digits"
FILE_KINDS = {".parquet": "parquet", ".arrow": "arrow"}  # and what `datasets` calls them
IMAGE_COLUMNS = ("image", "img")
GREY_MODES = ("1", "L", "LA", "I", "F", "I;16")
PLACES = (
    "'digits', a folder (parquet files, images, or save_to_disk), a parquet file, or USER/NAME on the Hub, "
    f"each after {' or '.join(f'{kind}:' for kind in DATASET_KINDS)} if its images are to be rotated"
)


def read_images(dataset: str, count: int = 10_000, seed: int = 0) -> list[Tensor]:
    """Read images of a data set, from its training split if it has one.

    Args:
        dataset: a name as `PLACES` lists them. After `rotated:` or `rot-mnist:`, each image is rotated about its centre by
            an angle of its own, with zeros outside.
        count: the most images to read, chosen at random.
        seed: of the choice and of the angles.

    Returns:
        uint8 tensors (1, H, W), or (3, H, W) if any of the images has colour.

    Raises:
        ValueError: the data set cannot be found or read, or has no images.
    """
    kind, place = kind_and_place(dataset)
    rng = np.random.default_rng(seed)
    try:
        found = _digits() if place == DIGITS and not os.path.exists(place) else _table_images(place, count, rng)
    except (ImportError, ValueError):
        raise
    except Exception as error:  # `datasets` lets through the errors of every file format that it reads
        cause = error.__cause__ or error
        hint = "" if os.path.exists(place) else f"; data sets are {PLACES}"
        raise ValueError(
            f"cannot read data set '{place}': {type(cause).__name__}: {one_line(cause, None)}{hint}"
        ) from error
    if kind:
        found = [image.rotate(360 * rng.random(), resample=2) for image in found]  # bilinear
    mode = "L" if all(image.mode in GREY_MODES for image in found) else "RGB"
    return [_as_tensor(image, mode) for image in found]


def _digits() -> list[Any]:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels: Any = load_digits(return_X_y=True)[0].reshape(-1, 8, 8)
    return [Image.fromarray(image) for image in (pixels * (255 / 16)).round().astype(np.uint8)]


def _table_images(place: str, count: int, rng: np.random.Generator) -> list[Any]:
    """Images of a table that `datasets` reads, in Pillow's form."""
    import datasets

    tables = _load(place)
    if isinstance(tables, dict):
        table = tables.get("train", next(iter(tables.values()))) if tables else None
    else:
        table = tables
    if table is None or not len(table):
        raise ValueError(f"data set '{place}' has no images")
    typed = [name for name, feature in table.features.items() if isinstance(feature, datasets.Image)]
    known = [name for name in IMAGE_COLUMNS if name in table.column_names]
    column = next(iter(typed if len(typed) == 1 else known or typed), None)
    if column is None:
        raise ValueError(f"data set '{place}' has no column of images: found {', '.join(table.column_names)}")
    chosen = np.sort(rng.permutation(len(table))[:count])
    return [_to_pil(image, place) for image in table.select_columns(column).select(chosen)[column]]


def _load(place: str) -> Any:
    import datasets

    path = Path(place).expanduser()
    if path.is_file():
        if path.suffix.lower() not in FILE_KINDS:
            raise ValueError(f"'{place}' is not a file of images: the kinds are {', '.join(FILE_KINDS)}, and folders")
        return datasets.load_dataset(FILE_KINDS[path.suffix.lower()], data_files=str(path.resolve()))
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return datasets.load_from_disk(str(path))
    if path.is_dir():
        return datasets.load_dataset(str(path.resolve()))
    if not is_repo_id(place):
        raise ValueError(f"there is no file or folder '{place}'; data sets are {PLACES}")
    return datasets.load_dataset(place)


def _to_pil(image: Any, place: str) -> Any:
    from PIL import Image

    from ..model.image_conversion import array_to_pil, to_8_bits

    if image is None:
        raise ValueError(f"data set '{place}' has a row without an image")
    if not isinstance(image, Image.Image):
        return array_to_pil(np.asarray(image))
    return to_8_bits(image)


def _as_tensor(image: Any, mode: str) -> Tensor:
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    return torch.from_numpy(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1).copy())
