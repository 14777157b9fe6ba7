"""Image files: found in folders, and read by the image processor of a model."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ADDRESSES = ("http://", "https://")


def find_images(places: Iterable[str | os.PathLike]) -> list[str]:
    """The images at some places, in order.

    Args:
        places: files and addresses, which are taken as they are, and folders, whose images are found by the endings
            that Pillow knows, also in folders within them. Names that start with a dot are left out.

    Raises:
        ValueError: a folder holds no image.
    """
    found: list[str] = []
    for place in (os.fspath(place) for place in places):
        if not os.path.isdir(place):
            found.append(place)
            continue
        inside = [str(path) for path in sorted(Path(place).rglob("*")) if _is_image(path.relative_to(place), path)]
        if not inside:
            raise ValueError(f"the folder {place} holds no image")
        found += inside
    return found


def _is_image(name: Path, path: Path) -> bool:
    from PIL import Image

    is_hidden = any(part.startswith(".") for part in name.parts)
    return not is_hidden and path.suffix.lower() in Image.registered_extensions() and path.is_file()


def check_image(image: str) -> None:
    """Refuse what cannot be an image.

    Raises:
        ValueError: it is neither a file nor an address.
    """
    if not image.startswith(ADDRESSES) and not os.path.isfile(image):
        raise ValueError(f"{image} is not a file: images are files, or addresses that start with http:// or https://")


def read_image(processor: Any, image: str | os.PathLike) -> Tensor:
    """What the network is given of one image, (1, C, H, W).

    Raises:
        ValueError: the image cannot be read; the message names it.
    """
    name = os.fspath(image)
    check_image(name)
    try:
        return processor(name, return_tensors="pt")["pixel_values"]
    except (ValueError, OSError) as error:
        raise ValueError(f"{name} cannot be read as an image: {str(error).removeprefix('image 0: ')}") from None
