"""Converted networks of any kind on disk: weights in safetensors, and a small JSON file beside them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from ..files import write_whole
from .description import apply_description, check_description, describe_conversion
from .replacement import uninstall
from .transformers_config import remember_conversion

WEIGHTS = "converted.safetensors"
DESCRIPTION = "conversion.json"


def save_converted(model: nn.Module, folder: str | Path) -> None:
    """Save all weights of a converted network, and what was converted.

    Args:
        model: a network that `convert` converted.
        folder: gets `converted.safetensors` and `conversion.json`; it is made if it does not exist.

    Raises:
        ValueError: the model has no converted convolutions.
    """
    description = describe_conversion(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, str(folder / WEIGHTS))
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")


def load_converted(base: nn.Module, folder: str | Path) -> nn.Module:
    """Convert a network as a saved one was, and load the saved weights, in place.

    Args:
        base: the network as it was before `convert`; its weights do not matter.
        folder: of `save_converted`.

    Returns:
        The network.

    Raises:
        ValueError: the folder is damaged, or the network does not fit.
        FileNotFoundError: the folder has no saved network.
    """
    folder = Path(folder)
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}; was it made by save_converted?")
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        weights = load_file(str(folder / WEIGHTS))
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise ValueError(f"{folder} is damaged: {error}") from None
    check_description(description)
    pairs = apply_description(base, description)
    if problems := _misfits(base, weights):
        uninstall(base, pairs)
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"the weights in {folder} do not fit {type(base).__name__}: {'; '.join(problems[:3])}{more}")
    base.load_state_dict(weights, strict=False)  # a tensor that has two names is in the file under one
    remember_conversion(base, describe_conversion(base))
    return base


def _misfits(model: nn.Module, weights: dict[str, Tensor]) -> list[str]:
    """How the names and shapes of weights differ from those of a model."""
    state = model.state_dict()
    saved = {_place(state[name]) for name in weights if name in state}
    return [
        *(
            f"{name} is not in the file"
            for name, value in state.items()
            if name not in weights and _place(value) not in saved
        ),
        *(f"{name} is not in the model" for name in weights if name not in state),
        *(
            f"{name} has shape {tuple(value.shape)} in the file and {tuple(state[name].shape)} in the model"
            for name, value in weights.items()
            if name in state and value.shape != state[name].shape
        ),
    ]


def _place(tensor: Tensor) -> tuple:
    return tensor.data_ptr(), tensor.shape, tensor.device
