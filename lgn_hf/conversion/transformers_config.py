"""The description of a conversion in the configuration of a transformers model."""

from __future__ import annotations

from typing import Any

from torch import nn

FIELD = "lgn_conversion"


def config_of(model: nn.Module) -> Any | None:
    """The configuration of a transformers model, or None."""
    config = getattr(model, "config", None)
    return config if hasattr(config, "to_json_string") and hasattr(model, "save_pretrained") else None


def remember_conversion(model: nn.Module, description: dict[str, Any]) -> None:
    """Write the description into the configuration, so that `save_pretrained` and `push_to_hub` save it."""
    if (config := config_of(model)) is not None:
        setattr(config, FIELD, description)


def forget_conversion(model: nn.Module) -> None:
    if hasattr(config := config_of(model), FIELD):
        delattr(config, FIELD)
