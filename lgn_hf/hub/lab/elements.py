"""What the members of an orbit are called, and by how much an image must be turned to shift them by one."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from ...nn import LinearGroup

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ALIKE, SAME = 0.9, 0.999  # cosine of a matrix with that of a turn: nearly this turn, and exactly


def element_names(network: Any) -> tuple[list[str], float | None]:
    """The names of the members of an orbit, and the turn in degrees that would move each to the next one, if there is one."""
    config = network.config
    if config.model_type == "lgn":
        order = config.group_order
        if config.action == "rotation":
            return [f"{config.rotation_angle * i:g}°" for i in range(order)], config.rotation_angle
        powers = ["W", "AW", *(f"A{i}W".replace(str(i), str(i).translate(SUPERSCRIPTS)) for i in range(2, order))]
        return powers[:order], 360 / order if order > 1 else None
    return group_names(network.group)


def group_names(group: LinearGroup) -> tuple[list[str], float | None]:
    """Names for the elements of a group: turns and mirrored turns, if they are near to these; else numbers.

    Example:
        >>> group_names(LinearGroup.rotations(3))
        (['0°', '90°', '180°', '270°'], 90.0)
        >>> group_names(LinearGroup.dihedral(3))[0][4:]
        ['mirror', 'mirror 90°', 'mirror 180°', 'mirror 270°']
    """
    numbered = [f"element {i}" for i in range(group.order)]
    if group.order == 1:
        return ["W"], None
    if group.filter_size is None:
        return numbered, None
    turns = max(group.element_orders)
    known = LinearGroup.dihedral(group.filter_size, turns).elements.flatten(1)
    cosines, which = (F.normalize(group.elements.flatten(1)) @ F.normalize(known).T).max(1)
    if cosines.min() < ALIKE:
        return numbered, None
    degrees = [360 / turns * (index % turns) for index in which.tolist()]
    names = [
        f"{'' if cosine > SAME else '≈ '}{'mirror ' if index >= turns else ''}{angle:g}°".replace(
            "mirror 0°", "mirror"
        )
        for cosine, index, angle in zip(cosines.tolist(), which.tolist(), degrees, strict=True)
    ]
    is_cycle = all(index == i * which[1].item() % turns for i, index in enumerate(which.tolist()))
    return names, degrees[1] if is_cycle and which[1] < turns else None
