"""How equivariant a trained network is, element by element: measured when its folder is built, in `equivariance.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....files import check_schema, write_whole
from ....model.image_processing_lgn import LGNImageProcessor
from ....nn import LinearGroup, equivariance_error, extends_to_image
from ....nn.linear_group import MIRRORS
from ....nn.pixel_grid import ImageMap

EQUIVARIANCE_NAME = "equivariance.json"
EXACT = 1e-5  # relative errors below are those of float32
IMAGES = 8  # random images to measure on when the model has no examples
_ERROR = int | float | None
_SCHEMA = {"images": str, "elements": [{"symmetry": str | None, "features": _ERROR, "logits": _ERROR}]}


@dataclass(frozen=True)
class ElementEquivariance:
    """What one element of the group does to a network.

    Attributes:
        symmetry: the map of images that the element is, or is nearest to; None if it is near none.
        features: |f(g x) - g f(x)| / |f(x)| of the last maps; None without such a map.
        logits: the same of the logits, which should not change.
    """

    symmetry: str | None
    features: float | None
    logits: float | None


@dataclass(frozen=True)
class Equivariance:
    """The measurement: on which images, and one record per element of the group."""

    images: str
    elements: list[ElementEquivariance]


def measure(model: Any, folder: Path, examples: Sequence[Path]) -> None:
    """Write `equivariance.json` into a folder that has the image processor already.

    Images move as the nearest symmetries of the pixel grid do, if all elements are near one. Errors are rounded to two
    digits, and those of float32 to 0, so that all machines write the same file.

    Args:
        model: of the family, with a head.
        folder: of the model.
        examples: images to measure on; random ones if empty.
    """
    if model.group.order == 1:
        return
    group = nearest_symmetries(model.group)
    images = _images(model.config, folder, examples)
    model = model.eval()
    features = equivariance_error(model.base_model, group, images, output="orbits").tolist()
    logits = equivariance_error(model, group, images).tolist()
    rows = zip(extends_to_image(group), features, logits, strict=True)
    document = {
        "images": "the images in examples/" if examples else f"{IMAGES} images of Gaussian noise",
        "errors": "|f(g x) - g f(x)| / |f(x)|; 0 is exact to the rounding of float32",
        "elements": [
            {"symmetry": symmetry_text(map_), "features": _rounded(f), "logits": _rounded(y)} for map_, f, y in rows
        ],
    }
    write_whole(folder / EQUIVARIANCE_NAME, json.dumps(document, indent=2) + "\n")


def read_equivariance(folder: Path, order: int) -> Equivariance | None:
    """What `measure` wrote; None if the file does not exist.

    Raises:
        ValueError: the file is damaged, or of another group.
    """
    path = folder / EQUIVARIANCE_NAME
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        check_schema(document, _SCHEMA, path.name)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): build the folder again") from None
    names = ("symmetry", "features", "logits")
    rows = [ElementEquivariance(*(element[name] for name in names)) for element in document["elements"]]
    if len(rows) != order:
        raise ValueError(f"{path} has {len(rows)} elements: must be the {order} of the group")
    return Equivariance(document["images"], rows)


def nearest_symmetries(group: LinearGroup) -> LinearGroup:
    """The group of symmetries of the pixel grid that is nearest to a group, or that group if it is near none."""
    try:
        return group.snapped()
    except ValueError:
        return group


def symmetry_text(map_: ImageMap | None) -> str | None:
    """A symmetry of the pixel grid in words.

    Example:
        >>> symmetry_text(ImageMap(turns=1)), symmetry_text(ImageMap(0, True))
        ('rotation by 90°', 'mirror, left-right')
    """
    if map_ is None:
        return None
    if map_.mirrored:
        return "mirror, " + next(name for name, mirror in MIRRORS.items() if mirror == map_)
    return f"rotation by {90 * map_.turns}°" if map_.turns else "identity"


def _images(config: Any, folder: Path, examples: Sequence[Path]) -> Tensor:
    if examples:
        processor = LGNImageProcessor.from_pretrained(folder)
        paths: list[Any] = [str(path) for path in examples]
        return processor(paths, return_tensors="pt")["pixel_values"]
    shape = (IMAGES, config.num_channels, config.image_size, config.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _rounded(error: float) -> float | None:
    """Two digits; None for NaN."""
    return None if error != error else 0.0 if error < EXACT else float(f"{error:.2g}")
