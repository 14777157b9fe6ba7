"""From encoded images to tensors of one shape."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import datasets
import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.model.image_conversion import array_to_pil, resize, to_8_bits, to_mode
from lgn_hf.texts import one_line
from lgn_training.data.image_sets import DataError
from lgn_training.data.splits import Rows
from lgn_training.data.transforms import rotate

logger = logging.getLogger("lgn_hf.training")

PROGRESS_DELAY = 2  # seconds
GREY_MODES = ("1", "L", "LA")
MOST_NAMED = 5  # of the images that are skipped
DEEP_MODE = "I;16"  # the beginning of Pillow's modes of 16 bits
DARK = 65536 // 8  # images of 16 bits without greater values use few of the 256 levels


class UnreadableImage(DataError):
    """An image is missing or damaged."""


@dataclass(frozen=True)
class Decoding:
    """How images are decoded; the image processor of a trained model does the same.

    image_size: side that images are resized to (bilinear). Without it, they must come out square and of one size.
    num_channels: 1 or 3; by default 1 if every image is grey, else 3.
    resize_mode: what becomes of images that are not square: "squash", "crop" or "pad".
    max_pixel_value: what becomes 255 in images of more than 8 bits; see `lgn_hf.model.image_conversion.to_8_bits`.
    skip_unreadable: leave out images that are missing or damaged.
    progress: show the progress of a long decoding.
    """

    image_size: int | None = None
    num_channels: int | None = None
    resize_mode: str = "squash"
    max_pixel_value: float | None = None
    skip_unreadable: bool = False
    progress: bool = True


def decode(parts: Sequence[Rows], column: str, how: Decoding) -> list[tuple[Tensor, Tensor]]:
    """Decode the images of each part, and rotate those that have an angle.

    Returns:
        For each part the images, (N, C, S, S), uint8, and the positions in the part that they are from, (N,), int64.

    Raises:
        DataError: an image is missing or unreadable, has values that do not fit into 8 bits, or has another size than the
            first.
    """
    total = sum(len(part) for part in parts)
    bar = tqdm(total=total, desc="Decoding", unit="image", delay=PROGRESS_DELAY, disable=not how.progress)
    pixels = np.empty((0, 0, 0, 0), np.uint8)  # allocated when the first image shows the shape
    count, grey, brightest, skipped, kept = 0, 0, 0, [], []
    for part in parts:
        positions = []
        for position, (place, cell) in enumerate(_cells(part, column)):
            bar.update()
            try:
                image = _read_image(cell, place, how)
            except UnreadableImage as error:
                if not how.skip_unreadable:
                    raise UnreadableImage(f"{error}; `--skip_unreadable` leaves such images out") from error
                skipped.append(str(error))
                continue
            if image.mode.startswith(DEEP_MODE):
                brightest = max(brightest, cast(tuple[int, int], image.getextrema())[1])
            array = _to_array(image, place, how)
            channels, height, width = array.shape
            if count == 0:
                pixels = np.empty((total, channels, height, width), np.uint8)
            if not height == width == pixels.shape[-1]:
                raise DataError(
                    f"the images must be square and of one size: the first is {pixels.shape[-1]} wide, "
                    f"{place} is {width} x {height}; resize them all with `--image_size`, and choose by `--resize_mode` "
                    "how they become square"
                )
            if channels > pixels.shape[1]:  # the first colour image after grey ones
                pixels = pixels.repeat(channels, axis=1)
            pixels[count] = array
            positions.append(position)
            count, grey = count + 1, grey + (channels == 1)
        kept.append(torch.tensor(positions, dtype=torch.int64))
    bar.close()
    _report(total, count, grey if pixels.shape[1] == 3 else 0, skipped, brightest, how)
    images = torch.from_numpy(pixels[:count]).split([len(positions) for positions in kept])
    return [
        (x if part.angles is None else rotate(x, part.angles[positions]), positions)
        for x, positions, part in zip(images, kept, parts, strict=True)
    ]


def _report(total: int, count: int, grey: int, skipped: list[str], brightest: int, how: Decoding) -> None:
    """Say what was done to images that the user may not expect."""
    if skipped:
        more = f"; and {len(skipped) - MOST_NAMED} more" if len(skipped) > MOST_NAMED else ""
        logger.warning("%d of %d images are skipped: %s%s", len(skipped), total, "; ".join(skipped[:MOST_NAMED]), more)
    if grey:
        logger.info(
            "%d of %d images are grey and the others in colour: all are taken as colour images; `--num_channels 1` makes "
            "them grey",
            grey,
            count,
        )
    if 0 < brightest < DARK and how.max_pixel_value is None:
        logger.warning(
            "the images have 16 bits, but no value above %d: they become dark, as 0..65535 is scaled to 0..255; "
            "`--max_pixel_value %d` uses the whole range",
            brightest,
            brightest,
        )


def _cells(part: Rows, column: str) -> Iterator[tuple[str, Any]]:
    """The place of each image, for messages, and its `bytes` or `path`, or its pixels as an array."""
    table = part.table.select_columns(column)
    dtype = _dtype_of_arrays(table, column)  # pyrefly: ignore[bad-argument-type]
    try:
        if dtype is None:
            table = table.cast_column(column, datasets.Image(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DataError(f"column '{column}' ({part.table.features[column]}) holds no images") from error
    table = table.select(part.index.numpy())  # pyrefly: ignore[missing-attribute]
    rows: Any = table.iter(batch_size=1000) if dtype is None else table.with_format("numpy").iter(batch_size=1)
    cells = (cell for batch in rows for cell in batch[column])
    for row, cell in zip(part.index.tolist(), cells, strict=True):
        is_array = dtype is not None and cell is not None
        yield f"row {row} of split '{part.split}'", np.asarray(cell).astype(dtype) if is_array else cell


def _dtype_of_arrays(table: Dataset, column: str) -> np.dtype | None:
    """The type of the numbers, if the images are nested lists of numbers."""
    if isinstance(table.features[column], datasets.Image):
        return None
    kind, depth = table.features.arrow_schema.field(column).type, 0
    if isinstance(kind, pa.BaseExtensionType):  # Array2D, Array3D
        kind = kind.storage_type
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return np.dtype(kind.to_pandas_dtype()) if depth in (2, 3) and pa.types.is_primitive(kind) else None


def _read_image(cell: Any, place: str, how: Decoding) -> Image.Image:
    if cell is None:
        raise UnreadableImage(f"{place} has no image")
    if isinstance(cell, np.ndarray):
        try:
            return array_to_pil(cell, how.num_channels or 3, max_pixel_value=how.max_pixel_value)
        except ValueError as error:
            raise DataError(f"{place} {error}") from error
    content = cell["bytes"]
    try:
        with Image.open(cell["path"] if content is None else BytesIO(content)) as image:
            return ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        what = cell["path"] if content is None else f"{len(content)} bytes"
        raise UnreadableImage(
            f"{place} is not a readable image ({what}): {type(error).__name__}: {one_line(error, None)}"
        ) from error


def _to_array(image: Image.Image, place: str, how: Decoding) -> np.ndarray:
    """(C, H, W), uint8."""
    try:
        image = to_8_bits(image, how.max_pixel_value)
    except ValueError as error:
        raise DataError(f"{place} {error}") from error
    channels = how.num_channels or (1 if image.mode in GREY_MODES else 3)
    side = how.image_size or {"squash": None, "crop": min(image.size), "pad": max(image.size)}[how.resize_mode]
    image = to_mode(image, channels)
    pixels = np.asarray(resize(image, side, how.resize_mode) if side else image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
