"""What converted layers start with: a fit to the weights that were there, or a draw at their scale."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.filters import unit_norm, unvec, vec
from ..nn import LearnedGroup, LearnedMatrices
from ..nn.exact_rotations import exact_rotation
from ..nn.learned_groups import GroupModule
from . import cyclic_fit, slice_fit
from .matching import basis_filters, match
from .obstacles import orbits_span_groups
from .replacement import Pair


def _filters(pair: Pair) -> Tensor:
    """The vectorised filters of the convolution, (N, C, d), float32 on the CPU."""
    return vec(pair.conv.weight.detach().to("cpu", torch.float32))


def _blocks(pair: Pair) -> int:
    """Into how many parts the filters fall that orbits do not cross."""
    return 1 if orbits_span_groups(pair.conv, pair.layer.group.order) else pair.conv.groups


@torch.no_grad()
def fit(pairs: list[Pair], fit_action: bool) -> None:
    """Set the layers of one action to what is nearest to the convolutions.

    Args:
        pairs: all layers that the action belongs to.
        fit_action: whether to fit the action, too, a cyclic one.
    """
    group = pairs[0].layer.group
    if fit_action and isinstance(group, GroupModule):
        members = _fit_action(group, pairs)
    else:
        elements = group.elements.detach().to("cpu", torch.float32)
        members = [match(_filters(pair), elements, _blocks(pair)) for pair in pairs]
    for pair, orbits in zip(pairs, members, strict=True):
        _set_layer(pair, orbits)


def _fit_action(group: GroupModule, pairs: list[Pair]) -> list[Tensor]:
    """Set the parameters of a learned action, and return the orbits of each layer."""
    order, orthogonal = group.order, isinstance(group, LearnedMatrices)
    filters = [_filters(pair) for pair in pairs]
    if group.batch_shape[1:] == filters[0].shape[1:2]:  # one action per slice, so any filters are an orbit
        orbits = torch.arange(len(filters[0])).view(-1, order)
        if isinstance(group, LearnedMatrices):
            _set_matrices(group, slice_fit.free_matrices(filters[0], orbits, group.norm))
        else:
            _set_action(group, slice_fit.cyclic_bases(filters[0], orbits))
        return [orbits]
    layers = [cyclic_fit.Layer(part, _blocks(pair)) for part, pair in zip(filters, pairs, strict=True)]
    basis = cyclic_fit.fit_cyclic(layers, order, _rotation(group), orthogonal)
    elements = cyclic_fit.conjugates(basis, order)
    members = [match(part, elements, _blocks(pair)) for part, pair in zip(filters, pairs, strict=True)]
    if group.batch_shape:  # one action per orbit
        basis = cyclic_fit.fit_orbit_by_orbit(filters[0], members[0], basis, orthogonal)
    _set_action(group, basis)
    return members


def _rotation(group: GroupModule) -> Tensor | None:
    size = group.filter_size
    return None if size is None or size < 2 else exact_rotation(size, group.order).float()


def _set_action(group: GroupModule, basis: Tensor) -> None:
    if isinstance(group, LearnedGroup):
        group.basis.copy_(basis)
    else:
        assert isinstance(group, LearnedMatrices)
        _set_matrices(group, cyclic_fit.conjugates(basis, group.order)[..., 1, :, :])


def _set_matrices(group: LearnedMatrices, generators: Tensor) -> None:
    group.weight.copy_(unit_norm(generators, group.norm)[..., None, :, :])


def _set_layer(pair: Pair, members: Tensor) -> None:
    """Set order, basis filters and bias of a layer whose orbits and action are known."""
    layer = pair.layer
    elements = layer.group.elements.detach().to("cpu", torch.float64)
    basis = basis_filters(_filters(pair).double(), elements, members)
    layer.weight.copy_(unvec(basis, layer.kernel_size[0]))
    layer.output_order[members.flatten()] = torch.arange(members.numel(), device=layer.output_order.device)


@torch.no_grad()
def draw(pair: Pair) -> None:
    """Scale the random filters of a layer to the norm of the convolution's."""
    if pair.conv.weight.is_meta:
        return
    layer = pair.layer
    layer.weight.copy_(torch.randn(layer.weight.shape))
    norm = pair.conv.weight.double().norm() / layer.filters().double().norm().clamp_min(1e-30)
    layer.weight.mul_(norm.to(layer.weight))


@torch.no_grad()
def residual(pair: Pair) -> float:
    """||W - fitted|| / ||W||, from the filters that the layer has."""
    old = pair.conv.weight.double()
    norm = float(old.norm())
    return float((pair.layer.filters().double() - old).norm()) / norm if norm else 0.0
