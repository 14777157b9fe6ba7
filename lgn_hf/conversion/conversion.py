"""`convert`: the convolutions of a network become orbits of linear groups."""

from __future__ import annotations

import copy
import logging
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..nn import LinearGroup
from ..nn.learned_groups import GroupModule
from .actions import ACTIONS, describe, group_for
from .converted_convolution import ConvertedConv2d
from .description import describe_conversion
from .hooks import check_regularizer
from .obstacles import (
    count_weights,
    obstacle_of_kernel,
    obstacle_of_module,
    obstacle_of_order,
    obstacle_of_weights,
    refuse,
)
from .replacement import Pair, install
from .report import ConversionReport, ConversionRow
from .starting_values import draw, fit, residual
from .targets import Target, matching
from .transformers_config import config_of, remember_conversion

Sharing = Literal["layer", "filter", "channel", "model"]
SHARINGS = ("layer", "filter", "channel", "model")
INITS = ("fit", "draw")

logger = logging.getLogger(__name__)


def convert(
    model: nn.Module,
    order: int = 4,
    action: str | LinearGroup | GroupModule = "cyclic",
    sharing: Sharing = "layer",
    target_modules: Target | None = None,
    exclude_modules: Target | None = None,
    init: Literal["fit", "draw"] = "fit",
    dry_run: bool = False,
    seed: int = 0,
    regularizer: str = "none",
    regularizer_weight: float | None = None,
) -> ConversionReport:
    """Replace convolutions by convolutions whose filters are orbits W, A W, A^2 W, ... of basis filters, in place.

    These are the filters of "Learning Linear Groups in Neural Networks", eq. 9, in any network. The shapes of all feature
    maps stay. `merge` turns the filters back into those of ordinary convolutions.

    Args:
        model: any network. Its `nn.Conv2d` can be converted, but not subclasses with a forward of their own, 1 x 1
            kernels, and numbers of output maps that are not multiples of |G|.
        order: p with A^p = I, the number of filters in an orbit. Twice as many for `"dihedral"`.
        action: `"cyclic"` learns A = S P S^-1, for which A^p = I holds by construction. `"learned"` learns A without
            this law, as in the papers; see `ConversionReport.attach`. `"rotation"` and `"dihedral"` are fixed. Or a
            `LinearGroup`, which is fixed, or a `LearnedGroup` or `LearnedMatrices`, which is where learning starts.
        sharing: of learned actions: one per `"layer"`, per basis `"filter"`, per basis filter and input `"channel"`, or
            one for all converted layers of the `"model"` with the same size of kernel.
        target_modules: which convolutions, as in peft: a list of names or last parts of names, a regular expression for
            the whole name, or a predicate `(name, module) -> bool`. By default, all that can be converted.
        exclude_modules: which of these not; the same kinds.
        init: `"fit"` finds the orbits that are nearest to the weights; `"draw"` draws basis filters at their scale.
        dry_run: change nothing, and report what would happen.
        seed: of all that is drawn.
        regularizer: of `"learned"` actions, `"nuclear"` or `"logdet"`, for the hooks of the report.
        regularizer_weight: mu; by default the regularizer's own.

    Returns:
        A report, one row per convolution. Its `attach` and `callback` hang the projection of `"learned"` actions on the
        optimizer.

    Raises:
        ValueError: an argument is not one of these; a target matches nothing, or what cannot be converted; the model has
            no convolutions. The model is then as it was.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 1))
        >>> report = convert(model, action="rotation")
        >>> [(row.name, row.converted, row.reason) for row in report]
        [('0', True, ''), ('2', False, 'has a 1 x 1 kernel, on which nothing moves')]
    """
    _check(order, action, sharing, init)
    check_regularizer(regularizer)
    modules = dict(model.named_modules(remove_duplicate=False))
    chosen = _choose(model, modules, target_modules, exclude_modules)
    plans, reasons = _plan(model, modules, chosen, action, order, init)
    if target_modules is not None and (refused := [name for name in chosen if name in reasons]):
        listed = "; ".join(f"{name} {reasons[name]}" for name in refused[:5])
        more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise ValueError(
            f"target_modules: {len(refused)} of {len(chosen)} modules cannot be converted (see exclude_modules): "
            f"{listed}{more}"
        )
    if not chosen:
        raise ValueError(f"{type(model).__name__} has no nn.Conv2d")
    if not plans:
        name, reason = next(iter(reasons.items()))
        logger.warning("no convolution of %s can be converted: %s %s", type(model).__name__, name, reason)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pairs = _build(plans, modules, action, sharing, init)
    rows = _rows(modules, pairs, chosen, reasons, init)
    if config_of(model) is not None:
        for pair in pairs.values():
            describe(pair.layer.group)  # an error if the configuration cannot hold it
    if pairs and not dry_run:
        install(model, pairs.values())
        if config_of(model) is not None:
            remember_conversion(model, describe_conversion(model))
    return ConversionReport(rows, model, dry_run, regularizer, regularizer_weight)


def _check(order: int, action: Any, sharing: str, init: str) -> None:
    if not isinstance(order, int) or order < 2:
        raise ValueError(f"order={order!r}: must be a whole number of at least 2")
    for field, value, allowed in (("sharing", sharing, SHARINGS), ("init", init, INITS)):
        if value not in allowed:
            raise ValueError(f"{field}={value!r}: must be one of {', '.join(allowed)}")
    if isinstance(action, str):
        if action not in ACTIONS:
            raise ValueError(f"action={action!r}: must be one of {', '.join(ACTIONS)}, or a group")
    elif not isinstance(action, (LinearGroup, GroupModule)):
        raise ValueError(f"action is a {type(action).__name__}: must be one of {', '.join(ACTIONS)}, or a group")
    elif action.order < 2:
        raise ValueError(f"action={action!r}: a group of one element makes no orbits")
    batched = sharing in ("filter", "channel")
    if batched and (isinstance(action, LinearGroup) or (isinstance(action, str) and ACTIONS[action].learned is None)):
        raise ValueError(f"sharing={sharing!r}: a fixed action is the same everywhere; leave out sharing")
    if isinstance(action, GroupModule) and (batched or action.batch_shape):
        raise ValueError("a learned group that is given must have batch_shape=() and sharing 'layer' or 'model'")


def _choose(
    model: nn.Module, modules: dict[str, nn.Module], target: Target | None, exclude: Target | None
) -> list[str]:
    """The names of the chosen modules, each under its first name, in the order of the model."""
    chosen = {name for name, module in modules.items() if isinstance(module, nn.Conv2d)}
    if target is not None:
        chosen = matching(target, modules, "target_modules")
    if exclude is not None:
        excluded = {id(modules[name]) for name in matching(exclude, modules, "exclude_modules")}
        remaining = {name for name in chosen if id(modules[name]) not in excluded}
        if chosen and not remaining:
            raise ValueError(f"exclude_modules excludes all {len(chosen)} targets")
        chosen = remaining
    meant = {id(modules[name]) for name in chosen}
    return [name for name, module in model.named_modules() if id(module) in meant]


def _plan(
    model: nn.Module,
    modules: dict[str, nn.Module],
    chosen: list[str],
    action: str | LinearGroup | GroupModule,
    order: int,
    init: str,
) -> tuple[dict[str, LinearGroup], dict[str, str]]:
    """The group of each convolution to convert, and why not for each of the other chosen modules."""
    counts = count_weights(model)
    start = action.start if isinstance(action, GroupModule) else action
    groups: dict[tuple[int, int], LinearGroup] = {}  # convolutions with the same kernel have the same object
    plans: dict[str, LinearGroup] = {}
    reasons: dict[str, str] = {}
    for name in chosen:
        conv: Any = modules[name]
        try:
            refuse(obstacle_of_module(name, conv, counts))
            refuse(obstacle_of_kernel(conv))
            size = conv.kernel_size
            group = groups[size] = groups[size] if size in groups else group_for(conv, start, order)
            if isinstance(action, GroupModule) and group is not start:
                refuse(f"has a {size[0]} x {size[1]} kernel, and the learned group acts on {action.dim} pixels")
            refuse(obstacle_of_order(conv, group.order))
            refuse(obstacle_of_weights(conv, init))
        except ValueError as obstacle:
            reasons[name] = str(obstacle)
        else:
            plans[name] = group
    return plans, reasons


def _build(
    plans: dict[str, LinearGroup],
    modules: dict[str, nn.Module],
    action: str | LinearGroup | GroupModule,
    sharing: str,
    init: str,
) -> dict[str, Pair]:
    """The new layers, with their starting values, beside the convolutions that they replace."""
    shared: dict[tuple, LinearGroup | GroupModule] = {}  # sharing="model": by what it starts at
    pairs: dict[str, Pair] = {}
    together: dict[int, list[Pair]] = {}  # by the id of the action
    for name, start in plans.items():
        conv: Any = modules[name]
        key = (id(start), conv.weight.device, conv.weight.dtype)
        group = shared.get(key)
        owns_group = group is None
        if group is None:
            group = _make_action(conv, start, action, sharing)
            if sharing == "model":
                shared[key] = group
        pairs[name] = Pair(conv, ConvertedConv2d(conv, group, owns_group))
        together.setdefault(id(group) if isinstance(group, GroupModule) else id(conv), []).append(pairs[name])
    for members in together.values():
        if init == "fit":
            fit(members, fit_action=isinstance(action, str))
        else:
            for pair in members:
                draw(pair)
    return pairs


def _make_action(
    conv: nn.Conv2d, start: LinearGroup, action: str | LinearGroup | GroupModule, sharing: str
) -> LinearGroup | GroupModule:
    if isinstance(action, GroupModule):
        group = action if sharing == "model" else copy.deepcopy(action)
        return group.to(conv.weight.device, conv.weight.dtype)
    learned = ACTIONS[action].learned if isinstance(action, str) else None
    if learned is None:
        return start
    orbits = conv.out_channels // start.order
    channels = conv.in_channels // conv.groups
    batch_shape = {"filter": (orbits, 1), "channel": (orbits, channels)}.get(sharing, ())
    group = learned(start, batch_shape, device=conv.weight.device, dtype=conv.weight.dtype)
    return group.requires_grad_(conv.weight.requires_grad)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if not is_lazy(parameter))


def _rows(
    modules: dict[str, nn.Module], pairs: dict[str, Pair], chosen: list[str], reasons: dict[str, str], init: str
) -> list[ConversionRow]:
    rows = []
    first: dict[int, str] = {}
    for name, module in modules.items():
        if not isinstance(module, nn.Conv2d):
            continue
        before = _parameters(module)
        if id(module) in first:
            original = first[id(module)]
            rows.append(ConversionRow(name, original in pairs, f"is the same module as {original}", 0, 0))
            continue
        first[id(module)] = name
        if name in pairs:
            layer = pairs[name].layer
            error = residual(pairs[name]) if init == "fit" else None
            rows.append(ConversionRow(name, True, "", before, _parameters(layer), error, layer.group.name))
        else:
            reason = reasons.get(name, "" if name in chosen else "is not a target")
            rows.append(ConversionRow(name, False, reason, before, before))
    return rows
