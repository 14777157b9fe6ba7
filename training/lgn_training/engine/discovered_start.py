"""Start the actions of a network of the papers at a symmetry that `lgn-hf discover` found."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lgn_hf.actions import load_actions
from lgn_training.arguments import Recipe

INITS = ("random", "discovered")
LAW_HOLDS = 0.05  # |A^p - I| / |I| below which A has order p


def wants_discovered(recipe: Recipe) -> bool:
    """Whether the recipe starts at what was found.

    Raises:
        ValueError: `action_init` is unknown, or `group_from` is missing, or the network is of another family.
    """
    init, place = recipe.run.action_init, recipe.run.group_from
    if init not in INITS:
        raise ValueError(f"action_init={init!r}: must be one of {', '.join(INITS)}")
    if init == "discovered" and (place is None or recipe.model_type != "lgn"):
        raise ValueError(
            "action_init='discovered' needs --model_type lgn, and --group_from FOLDER, where `lgn-hf discover` wrote"
        )
    return init == "discovered"


def start_at_discovered(network: Any, place: str) -> None:
    """Let every action be the best one of the folder whose order is the network's.

    With `action="cyclic"` the group law then holds throughout training.

    Raises:
        ValueError: no action fits the network.
    """
    found = load_actions(place).matrices.flatten(0, 2).double()
    size, order = network.config.filter_size, network.config.group_order
    if found.shape[-1] != size**2:
        raise ValueError(
            f"group_from={place!r}: its actions are on filters of {found.shape[-1]} pixels, those of filter_size={size} "
            f"have {size**2}"
        )
    orders = [_order(matrix) for matrix in found]
    if order not in orders:
        raise ValueError(f"group_from={place!r}: it has actions of orders {orders}, none of group_order={order}")
    matrix = found[orders.index(order)]
    for module in network.modules():
        if hasattr(module, "start_at"):
            module.start_at(matrix)


def _order(matrix: Tensor, most: int = 64) -> int | None:
    """The smallest p with A^p = I, up to what a search leaves."""
    identity = torch.eye(len(matrix), dtype=matrix.dtype)
    power = matrix
    for p in range(1, most + 1):
        if torch.dist(power, identity) < LAW_HOLDS * identity.norm():
            return p
        power = power @ matrix
    return None
