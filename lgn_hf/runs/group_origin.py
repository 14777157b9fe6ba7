"""How the group of a network came about: told, found in data, learned, given as matrices, or absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOUND = "symmetries of "  # begins the name of actions that `lgn-hf discover` saved; the data follow

ORIGINS = {
    "free": "the identity alone: free filters",
    "told": "given by name",
    "learned": "learned with the filters, from a start that was given",
    "discovered": "found in data, as it was found",
    "snapped": "found in data, then moved to the nearest symmetries of the pixel grid",
    "given": "given as matrices",
}


def group_origin(config: Any, recipe: Mapping[str, Any], source: str | None = None) -> str:
    """One of ORIGINS.

    Args:
        config: of a network of the family `lgn_convnet`.
        recipe: of its run; empty if it was trained elsewhere.
        source: the name of the actions that generated the group, if it was read from a folder.
    """
    if config.linear_group.order == 1:
        return "free"
    if config.action == "learned":
        return "learned"
    if config.group != "given":
        return "told"
    if source is None or not source.startswith(FOUND):
        return "given"
    return "snapped" if recipe.get("snap_group") else "discovered"


def read_group_source(place: str) -> str:
    """The name of the actions in a folder or repository; its own name, if they have none or cannot be read now."""
    from ..actions import load_actions

    try:
        return load_actions(place).name or Path(place).name
    except (OSError, ValueError):
        return Path(place).name
