"""A matrix of points from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

MATRIX_FILES = (".npy", ".safetensors")


def read_matrix(path: str | Path, name: str | None = None) -> Tensor:
    """The rows of a `.npy` file, or of one tensor of a `.safetensors` file.

    Filters (N, n, n) or (N, C, n, n) are also taken; they are vectorised by whoever uses them.

    Args:
        path: of the file. A `.npy` file with pickled objects is refused.
        name: of the tensor, if there are several and none is called `atoms`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged, or holds something else than numbers, (N, d) to (N, C, n, n).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is not an array of numbers: {error}") from None
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path} holds {array.dtype}: must be real numbers")
        tensor = torch.from_numpy(array.astype(np.float64))
    else:
        tensor = _tensor_of(path, name)
    if tensor.ndim not in (2, 3, 4) or (tensor.ndim > 2 and tensor.shape[-1] != tensor.shape[-2]):
        shape = tuple(tensor.shape)
        raise ValueError(f"{path} has shape {shape}: must be (N, d), or square filters (N, n, n) or (N, C, n, n)")
    return tensor


def _tensor_of(path: Path, name: str | None) -> Tensor:
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or incomplete ({error})") from None
    name = name or ("atoms" if "atoms" in tensors else next(iter(tensors), None) if len(tensors) == 1 else None)
    if name is None or name not in tensors:
        raise ValueError(f"{path} holds the tensors {', '.join(list(tensors)[:5])}: choose one with --module")
    return tensors[name].double()
