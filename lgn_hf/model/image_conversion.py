"""Images of every kind that users hold, as 8-bit pixels of one mode and size."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from transformers.image_utils import load_image

MODES = {1: "L", 3: "RGB"}  # number of channels -> PIL mode
RESIZE_MODES = {  # how an image that is not square becomes square
    "squash": Image.Image.resize,
    "crop": ImageOps.fit,  # the middle
    "pad": ImageOps.pad,  # with black
}
DEEP_MODES = ("I", "F")  # the beginnings of Pillow's modes of more than 8 bits


def flatten(images: Any) -> list[Any]:
    """One image, a batch, or (nested) lists of both, as a list of images."""
    if isinstance(images, (list, tuple)):
        return [image for item in images for image in flatten(item)]
    return list(images) if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4 else [images]


def to_pixels(
    image: Any,
    num_channels: int,
    side: int,
    input_data_format: str | None = None,
    *,
    resize_mode: str = "squash",
    max_pixel_value: float | None = None,
) -> Tensor:
    """One image as uint8 (num_channels, side, side), converted and resized as Pillow does.

    Args:
        image: a PIL image, path, URL, numpy array or tensor.
        num_channels: 1 (grey) or 3 (colour); transparency is dropped.
        side: height and width, pixels.
        input_data_format: "channels_first" or "channels_last", where the shape of an array leaves it open.
        resize_mode: what becomes of an image that is not square, see `RESIZE_MODES`.
        max_pixel_value: what becomes 255 in an image of more than 8 bits, see `to_8_bits`.

    Raises:
        ValueError: an image of another type, shape or range.
        OSError, SyntaxError, Image.DecompressionBombError: a file that cannot be read, as Pillow says it.
    """
    if isinstance(image, (str, os.PathLike)):
        image = os.fspath(image)
        image = _open(image) if os.path.isfile(image) else load_image(image)
    if not isinstance(image, Image.Image):
        image = array_to_pil(_to_array(image), num_channels, input_data_format, max_pixel_value)
    image = resize(to_mode(to_8_bits(image, max_pixel_value), num_channels), side, resize_mode)
    pixels = np.array(image).reshape(side, side, num_channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def array_to_pil(
    array: np.ndarray,
    num_channels: int = 3,
    input_data_format: str | None = None,
    max_pixel_value: float | None = None,
) -> Image.Image:
    """An array (H, W), (H, W, C) or (C, H, W) as an image of 8 bits. `num_channels` is preferred for C if two axes could be.

    Raises:
        ValueError: an array of another shape, type or range.
    """
    return to_pil(_to_uint8(_channels_first(array, num_channels, input_data_format), max_pixel_value))


def to_8_bits(image: Image.Image, max_pixel_value: float | None = None) -> Image.Image:
    """The same image with 8 bits per channel.

    Pillow's own conversion would clip values above 255. Here, 16 bits are divided by 257, whole numbers of more bits
    must be in 0..255, and floating-point numbers are in 0..1. With `max_pixel_value`, 0..max_pixel_value becomes 0..255
    in all of them, as for a camera of 12 bits whose images are stored in 16.

    Raises:
        ValueError: an image with other values.
    """
    if not image.mode.startswith(DEEP_MODES):
        return image
    return to_pil(_to_uint8(np.array(image)[None], max_pixel_value))


def to_mode(image: Image.Image, num_channels: int) -> Image.Image:
    """An image of 8 bits in grey (1) or colour (3), without transparency."""
    mode = MODES[num_channels]
    if image.mode == mode:
        return image
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB").convert(mode)  # through RGB, as in transformers' pipelines


def resize(image: Image.Image, side: int, resize_mode: str = "squash") -> Image.Image:
    """The image with height and width `side`, bilinear."""
    if image.size == (side, side):
        return image
    return RESIZE_MODES[resize_mode](image, (side, side), Image.Resampling.BILINEAR)


def to_pil(array: np.ndarray) -> Image.Image:
    """uint8 (C, H, W) as a PIL image of mode L, RGB or RGBA."""
    return Image.fromarray(np.ascontiguousarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)))


def _open(path: str) -> Image.Image:
    """Like transformers' `load_image`, but in the mode of the file: 16 bits are not clipped to 8."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)


def _to_array(image: Any) -> np.ndarray:
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        return (image.double() if image.is_floating_point() else image).numpy()
    if isinstance(image, np.ndarray):
        return image
    raise ValueError(f"is a {type(image).__name__}: allowed are PIL images, paths, URLs, numpy arrays and tensors")


def _channels_first(array: np.ndarray, num_channels: int, input_data_format: str | None) -> np.ndarray:
    """(H, W), (H, W, C) or (C, H, W) as (C, H, W); num_channels decides which axis C is if both could be."""
    if array.ndim == 2:
        array = array[None]
    axes = {"channels_first": [0], "channels_last": [-1], None: [0, -1]}[input_data_format]
    for counts in ((num_channels,), (1, 3, 4)):
        for axis in axes:
            if array.ndim == 3 and array.shape[axis] in counts and array.size:
                return np.moveaxis(array, axis, 0)
    raise ValueError(f"has shape {array.shape}: allowed are (H, W), (H, W, C) and (C, H, W) with C = 1, 3 or 4")


def _to_uint8(array: np.ndarray, max_pixel_value: float | None) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array * np.uint8(255)
    if max_pixel_value is not None and array.dtype.kind in "iuf":
        levels, allowed = np.rint(array * (255 / max_pixel_value)), f"0..{max_pixel_value:g} (max_pixel_value)"
    elif array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.integer):
        levels, allowed = array, "integers in 0..255 (uint16: 0..65535), and others with max_pixel_value"
    elif np.issubdtype(array.dtype, np.floating):
        levels, allowed = (
            np.rint(array.astype(np.float64) * 255),
            "floating-point numbers in 0..1, and others with max_pixel_value",
        )
    else:
        raise ValueError(f"has {array.dtype} values: allowed are integers, floating-point numbers and booleans")
    if not (levels.min() >= 0 and levels.max() <= 255):  # not (...): NaN fails every comparison
        raise ValueError(f"has {array.dtype} values in {array.min()}..{array.max()}: allowed are {allowed}")
    return levels.astype(np.uint8)
