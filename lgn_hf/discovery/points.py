"""The points that a symmetry is searched in, from any source: a data set, a model, or a matrix."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..model.filters import vec
from ..repository import find_folder
from ..runs.dataset_name import is_repo_id, kind_and_place
from .dictionary import Dictionary, learn_dictionary, load_dictionary
from .images import DIGITS, PLACES, read_images
from .matrix_file import MATRIX_FILES, read_matrix
from .patches import patches

MOST_POINTS = 1000  # more rows than these are data, from which a dictionary is learned
ATOMS_PER_DIMENSION = 10  # by default
NUM_PATCHES = 60_000


@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    Attributes:
        filter_size: n, the side of a patch of a data set, pixels.
        num_atoms: of a dictionary; by default, ATOMS_PER_DIMENSION for each dimension.
        module: the convolution of a model, or the tensor of a file.
        grey: take the mean of the channels; otherwise they are kept.
        seed: of everything random.
        progress: show a bar.
        half: 0 or 1, of the data that a dictionary is learned from: every other image or row.
    """

    filter_size: int = 5
    num_atoms: int | None = None
    module: str | None = None
    grey: bool = True
    seed: int = 0
    progress: bool = False
    half: int = 0


@dataclass(frozen=True)
class Place:
    """A kind of source.

    words: what a message calls it.
    accepts: whether a name means a source of this kind.
    read: reads it.
    """

    words: str
    accepts: Callable[[str], bool]
    read: Callable[[str, Request], Dictionary | Tensor]


def read_points(source: str, request: Request) -> Dictionary | Tensor:
    """The points of a source: its rows or filters if there are at most MOST_POINTS, else a dictionary of them.

    Args:
        source: a data set (see `images.PLACES`), a folder or repository of a model, or a `.npy` or `.safetensors` file.
        request: what is asked of it.

    Returns:
        a `Dictionary`, or points (N, d). Filters and patches are column-major, vec(W) (eq. 6).

    Raises:
        OSError, ValueError: the source cannot be found or read.
    """
    for place in PLACES_OF_POINTS:
        if place.accepts(source):
            return place.read(source, request)
    words = "; ".join(place.words for place in PLACES_OF_POINTS)
    raise ValueError(
        f"there is no file or folder {source!r}, and it cannot be the name of a repository: allowed are {words}"
    )


def read_held_out(source: str, request: Request) -> Dictionary | None:
    """A dictionary of the other half of the data; None where the points are not learned from data."""
    if _saved_dictionary(source, request) is not None:
        return None
    other = read_points(source, replace(request, half=1 - request.half))
    return other if isinstance(other, Dictionary) else None


def _from_matrix(source: str, request: Request) -> Dictionary | Tensor:
    return _saved_dictionary(source, request) or _rows_or_dictionary(read_matrix(source, request.module), request)


def _saved_dictionary(source: str, request: Request) -> Dictionary | None:
    if not source.lower().endswith(".safetensors") or request.module is not None:
        return None
    try:
        return load_dictionary(source)
    except ValueError:
        return None  # another matrix


def _from_model(source: str, request: Request) -> Dictionary | Tensor:
    from .filter_bank import read_filters

    name, _, revision = (source, "", "") if os.path.exists(source) else source.partition("@")
    return _rows_or_dictionary(read_filters(name, request.module, revision or None), request)


def _from_data_set(source: str, request: Request) -> Dictionary:
    images = read_images(source, seed=request.seed)
    rows = patches(
        images[request.half :: 2] or images, request.filter_size, NUM_PATCHES, request.seed, grey=request.grey
    )
    return _learned(rows, request)


def _rows_or_dictionary(found: Tensor, request: Request) -> Dictionary | Tensor:
    """Rows (N, d), or filters (N, n, n) or (N, C, n, n), as points."""
    if found.ndim == 4 and found.shape[1] > 4:  # channels that are features, not colours: each slice is a filter
        found = found.flatten(0, 1)
    if found.ndim == 4:
        found = found.mean(1) if request.grey else found
    rows = found if found.ndim == 2 else vec(found).flatten(1)
    return _learned(rows[request.half :: 2], request) if len(rows) > MOST_POINTS else rows


def _learned(rows: Tensor, request: Request) -> Dictionary:
    count = request.num_atoms or ATOMS_PER_DIMENSION * int(torch.linalg.matrix_rank(rows[: 4 * rows.shape[1]]))
    return learn_dictionary(rows, count, request.seed, progress=request.progress)


def filter_side(dim: int) -> int | None:
    """n, where points of `dim` dimensions can be n x n filters."""
    side = math.isqrt(dim)
    return side if side**2 == dim and side > 1 else None


def _is_matrix(source: str) -> bool:
    return source.lower().endswith(MATRIX_FILES)


def _is_data_set(source: str) -> bool:
    kind, place = kind_and_place(source)
    return bool(kind) or place == DIGITS or os.path.exists(source) or is_repo_id(source)


def _is_model(source: str) -> bool:
    """Whether a folder or a repository has a config.json of transformers. The Hub is asked only for its names."""
    if os.path.exists(source):
        return os.path.isfile(os.path.join(source, "config.json"))
    kind, place = kind_and_place(source)
    name, _, revision = place.partition("@")
    if kind or place == DIGITS or not is_repo_id(name):
        return False
    try:
        return (find_folder(name, revision or None, ["config.json"]) / "config.json").is_file()
    except OSError:
        return False


PLACES_OF_POINTS = (
    Place("a matrix (.npy or .safetensors)", _is_matrix, _from_matrix),
    Place("a model (its folder, or USER/NAME on the Hub)", _is_model, _from_model),
    Place(f"a data set ({PLACES})", _is_data_set, _from_data_set),
)
