"""From encoded images to tensors of one shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import cast

import datasets
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.texts import one_line
from lgn_training.data.image_sets import DataError
from lgn_training.data.splits import Rows
from lgn_training.data.transforms import rotate

PROGRESS_DELAY = 2  # seconds
GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "F")  # Pillow clips these to 8 bits instead of scaling them


def decode(
    parts: Sequence[Rows], column: str, image_size: int | None, num_channels: int | None, progress: bool
) -> list[Tensor]:
    """Decode the images of each part, and rotate those that have an angle: (N, C, S, S), uint8.

    Raises:
        DataError: an image is missing, unreadable, of more than 8 bits, or of another size than the first.
    """
    counts = [len(part) for part in parts]
    total = sum(counts)
    cells = tqdm(
        _cells(parts, column), "Decoding", total=total, unit="image", delay=PROGRESS_DELAY, disable=not progress
    )
    pixels = np.empty((0, 0, 0, 0), np.uint8)  # allocated when the first image shows the shape
    for i, (place, cell) in enumerate(cells):
        image = _to_array(_read_image(cell, place), image_size, num_channels)
        channels, height, width = image.shape
        if i == 0:
            pixels = np.empty((total, channels, height, width), np.uint8)
        if not height == width == pixels.shape[-1]:
            raise DataError(
                f"the images must be square and of one size: the first is {pixels.shape[-1]} wide, "
                f"{place} is {width} x {height}; resize them all with `--image_size`"
            )
        if channels > pixels.shape[1]:  # the first colour image after grey ones
            pixels = pixels.repeat(channels, axis=1)
        pixels[i] = image
    images = torch.from_numpy(pixels).split(counts)
    return [x if part.angles is None else rotate(x, part.angles) for x, part in zip(images, parts, strict=True)]


def _cells(parts: Sequence[Rows], column: str) -> Iterator[tuple[str, dict]]:
    """The place of each image, for messages, and its `bytes` or `path`."""
    for part in parts:
        table = part.table.select_columns(column)
        try:
            table = table.cast_column(column, datasets.Image(decode=False))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise DataError(f"column '{column}' ({table.features[column]}) holds no images") from error
        batches = table.select(part.index.numpy()).iter(batch_size=1000)
        cells = (cell for batch in batches for cell in cast(dict, batch)[column])
        for row, cell in zip(part.index.tolist(), cells, strict=True):
            yield f"row {row} of split '{part.split}'", cell


def _read_image(cell: dict | None, place: str) -> Image.Image:
    if cell is None:
        raise DataError(f"{place} has no image")
    content = cell["bytes"]
    try:
        image = Image.open(cell["path"] if content is None else BytesIO(content))
        image.load()
    except Exception as error:  # Pillow's decoders raise many kinds
        what = cell["path"] if content is None else f"{len(content)} bytes"
        raise DataError(
            f"{place} is not a readable image ({what}): {type(error).__name__}: {one_line(error, None)}"
        ) from error
    if image.mode.startswith(DEEP_MODES):
        raise DataError(f"{place} has more than 8 bits per channel (Pillow's mode {image.mode}); convert it to 8 bits")
    return ImageOps.exif_transpose(image) if "exif" in image.info else image


def _to_array(image: Image.Image, image_size: int | None, num_channels: int | None) -> np.ndarray:
    """(C, H, W), uint8."""
    grey = num_channels == 1 or (num_channels is None and image.mode in GREY_MODES)
    image = image.convert("L" if grey else "RGB")
    if image_size:
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
