"""The filters of a trained network: those of an LGN, or the kernels of a convolution of any model of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..nn import OrbitConv2d
from ..repository import find_folder

FILES = ("*.json", "*.safetensors")
MOST_NAMED = 5  # modules in a message


def read_filters(repo_or_folder: str, module: str | None = None, revision: str | None = None) -> Tensor:
    """The filters of a model.

    An LGN gives the filters of all its layers, which all see the image. Another model gives the kernels of its first
    convolution of more than one pixel, or those of `module`. An orbit convolution gives all filters of its orbits.

    Args:
        repo_or_folder: a folder, or the name of a repository on the Hub, of a model that `AutoModel` loads.
        module: the name of a convolution, as `model.named_modules()` has it.
        revision: branch, tag or commit of the repository.

    Returns:
        (N, C, n, n), float32.

    Raises:
        OSError: the model cannot be found or read.
        ValueError: it has no such convolution, or its kernels are not square.
    """
    from transformers import AutoConfig

    folder = find_folder(repo_or_folder, revision, FILES)
    config = AutoConfig.from_pretrained(folder)
    if config.model_type == "lgn" and module is None:
        from ..model.modeling_lgn import LGNModel

        model: Any = LGNModel.from_pretrained(folder)
        return model.filter_bank().detach().float().flatten(0, 2)
    return _kernels(_load(folder, repo_or_folder), repo_or_folder, module)


def _load(folder: Path, name: str) -> nn.Module:
    from transformers import AutoModel

    try:
        return AutoModel.from_pretrained(folder, dtype=torch.float32)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is not a model that transformers' AutoModel loads: {error}") from None


def _kernels(model: Any, name: str, module: str | None) -> Tensor:
    found = {key: part for key, part in model.named_modules() if isinstance(part, nn.Conv2d)}
    wide = {key: part for key, part in found.items() if max(part.kernel_size) > 1}
    shown = ", ".join(list(wide)[:MOST_NAMED]) + (", ..." if len(wide) > MOST_NAMED else "")
    if not wide:
        raise ValueError(f"{name} has no convolution of more than one pixel")
    if module is not None and module not in wide:
        raise ValueError(f"{name} has no convolution named {module!r}: its convolutions are {shown}")
    key = module if module is not None else next(iter(wide))
    part: Any = wide[key]
    weight = (part.filters() if isinstance(part, OrbitConv2d) else part.weight).detach().float()
    if weight.shape[-1] != weight.shape[-2]:
        raise ValueError(f"{key} of {name} has kernels of {weight.shape[-2]} x {weight.shape[-1]}: must be square")
    return weight
