"""The images on a model's card: files in its folder, as the model sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..image_files import read_image
from ..model.image_processing_lgn import LGNImageProcessor
from .cards import draw_examples
from .cards.answers import plain_processor

__all__ = ["EXAMPLES_NAME", "MOST_EXAMPLES", "draw_examples", "find_examples", "save_examples"]

EXAMPLES_NAME = "examples"
MOST_EXAMPLES = 8


def find_examples(folder: str | os.PathLike) -> list[Path]:
    """The images that `save_examples` wrote into the folder of a model, in their order."""
    return sorted(Path(folder, EXAMPLES_NAME).glob("*.png"))


def save_examples(images: Sequence[Any], processor: LGNImageProcessor, folder: str | os.PathLike) -> list[Path]:
    """Write images as `folder`/examples/1.png, 2.png, ...

    They get the size and the channels that the model sees. All else that their files say is left out, such as where a
    photograph was taken.

    Args:
        images: at most 8, each in any form that the processor takes.
        processor: the image processor of the model.
        folder: of the model.

    Returns:
        the paths.

    Raises:
        ValueError: there are too many images, or one cannot be read; the message says which.
    """
    if len(images) > MOST_EXAMPLES:
        raise ValueError(f"{len(images)} examples: a card has room for {MOST_EXAMPLES}")
    plain = plain_processor(processor)
    pictures = [plain.post_process_reconstruction(_pixel_values(plain, image, i))[0] for i, image in enumerate(images)]
    paths = [Path(folder, EXAMPLES_NAME, f"{number}.png") for number in range(1, len(pictures) + 1)]
    for picture, path in zip(pictures, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return paths


def _pixel_values(processor: LGNImageProcessor, image: Any, number: int) -> Tensor:
    """(1, C, H, W)"""
    if isinstance(image, (str, os.PathLike)):
        return read_image(processor, image)
    try:
        return processor(image, return_tensors="pt")["pixel_values"]
    except ValueError as error:
        raise ValueError(f"image {number}: {str(error).removeprefix('image 0: ')}") from None
