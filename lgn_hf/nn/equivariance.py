"""How far a module is from equivariance, measured on images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .linear_group import LinearGroup
from .pixel_grid import ImageMap, extends_to_image

TRANSFORMS = ("image", "orbits", "invariant")


@torch.no_grad()
def equivariance_error(
    module: nn.Module, group: LinearGroup, x: Tensor, input: str | None = None, output: str | None = None
) -> Tensor:
    """|f(g x) - g f(x)| / |f(x)| for each element g of a group.

    An element acts on an image by moving its pixels, and on orbits by that and a shift of the group index:
    (u f)(k, h) = u f(k, u^-1 h).

    Args:
        module: a layer or a network. Its mode, train or eval, stays.
        group: a group of symmetries of the pixel grid. For an element that is not such a symmetry, the error is NaN.
        x: what to measure on, (B, C, H, W).
        input: how the input transforms, `"image"` or `"orbits"`. By default, what the first orbit layer says.
        output: how the output transforms, `"image"`, `"orbits"` or `"invariant"`. By default, what the last orbit layer says
            where there are maps, and invariant where there are not.

    Returns:
        (|G|,), float64.

    Example:
        >>> from lgn_hf.nn import OrbitConv2d
        >>> group = LinearGroup.rotations(3)
        >>> layer = OrbitConv2d(1, 8, 3, group, dtype=torch.float64)
        >>> bool((equivariance_error(layer, group, torch.rand(2, 1, 9, 9, dtype=torch.float64)) < 1e-12).all())
        True
    """
    expected = _tensor(module(x))
    before, after = _how_both_transform(module, expected, input, output)
    errors = []
    for element, image_map in enumerate(extends_to_image(group)):
        if image_map is None:
            errors.append(float("nan"))
            continue
        moved = _tensor(module(transform(x, group, element, image_map, before)))
        wanted = transform(expected, group, element, image_map, after)
        if moved.shape != wanted.shape:
            errors.append(float("inf"))
        else:
            errors.append(float((moved - wanted).double().norm() / wanted.double().norm()))
    return torch.tensor(errors, dtype=torch.float64)


def _how_both_transform(module: nn.Module, result: Tensor, input: str | None, output: str | None) -> tuple[str, str]:
    said: list[Any] = [part.transforms for part in module.modules() if hasattr(part, "transforms")]
    before = input or (said[0][0] if said else "image")
    after = output or ("invariant" if result.dim() < 4 else said[-1][1] if said else "image")
    for name, value, allowed in (("input", before, TRANSFORMS[:2]), ("output", after, TRANSFORMS)):
        if value not in allowed:
            raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")
    return before, after


def transform(maps: Tensor, group: LinearGroup, element: int, image_map: ImageMap, how: str) -> Tensor:
    """The action of a group element on images, on orbits of maps, or on what is invariant."""
    if how == "invariant":
        return maps
    if how == "orbits":
        shift = group.table[group.inverses[element]].to(maps.device)  # h reads u^-1 h
        maps = maps.unflatten(1, (-1, group.order))[:, :, shift].flatten(1, 2)
    return image_map(maps)


def _tensor(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    for name in ("logits", "last_hidden_state"):
        if getattr(output, name, None) is not None:
            return getattr(output, name)
    return output[0]
