"""Start a run from the weights of a trained model."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from lgn_hf import LGNImageProcessor
from lgn_hf.runs.family import read_config
from lgn_training.arguments import Recipe
from lgn_training.engine.trained_model import load_trained

logger = logging.getLogger("lgn_hf.training")


def with_fields_of_model(recipe: Recipe) -> Recipe:
    """The recipe with the network, the image size and the whitening of the model that the run starts from.

    Fields of the network that the recipe file or the command line gives win.

    Raises:
        ValueError: a given field would change the images that the model takes.
        OSError: there is no such model.
    """
    name = recipe.run.model_name_or_path
    if name is None:
        return recipe
    config, processor = _config(name), LGNImageProcessor.from_pretrained(name)
    if config.model_type != recipe.model_type:
        raise ValueError(f"model_type={recipe.model_type!r}: {name} is a {config.model_type!r}; give --model_type")
    fixed = {"image_size": config.image_size, "num_channels": config.num_channels, "whitening": processor.whitening}
    given = {**recipe.network, "whitening": recipe.run.whitening}
    for field, value in fixed.items():
        if field in recipe.given and given[field] not in (None, value):
            raise ValueError(f"{field}={given[field]!r}: {name} was trained with {value!r}; leave the field out")
    network = {
        field: value if field in recipe.given and field not in fixed else getattr(config, field)
        for field, value in recipe.network.items()
    }
    return replace(recipe, network=network, run=replace(recipe.run, whitening=processor.whitening))


def _config(name: str) -> Any:
    try:
        return read_config(name)
    except OSError as error:
        raise OSError(
            f"model_name_or_path={name!r} is neither a folder nor a repository of a model: {error}"
        ) from None


def load_weights(name: str, network: Any) -> None:
    """Give `network` the weights of a trained model. A head for another task or for other classes keeps its own.

    Raises:
        ValueError: a weight has another shape in the network.
        OSError: the model cannot be read.
    """
    _, model, _ = load_trained(name)
    has_same_head = type(model) is type(network) and model.config.id2label == network.config.id2label
    body = f"{network.base_model_prefix}."
    own = network.state_dict()
    found = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if key in own and (has_same_head or key.startswith(body))
    }
    for key, tensor in found.items():
        if tensor.shape != own[key].shape:
            raise ValueError(
                f"{name} has {key} of shape {tuple(tensor.shape)}, and this network {tuple(own[key].shape)}: "
                "leave out the fields of the network, which then has those of the model"
            )
    network.load_state_dict({**own, **found})
    new = sorted(key for key in own if key not in found)
    logger.info("starting from the weights of %s%s", name, f"; drawn anew: {', '.join(new)}" if new else "")
