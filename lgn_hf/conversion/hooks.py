"""What learned matrices need of every step of training, hung on the optimizer so that nobody has to remember it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..model.regularizers import REGULARIZERS
from ..nn import LearnedMatrices
from ..nn.learned_groups import GroupModule

_ATTACHED: WeakKeyDictionary[Optimizer, Attachment] = WeakKeyDictionary()


class Attachment:
    """The hooks of one optimizer; `remove()` takes them off."""

    def __init__(self, handles: list[RemovableHandle]):
        self._handles = handles

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def attach(
    model: nn.Module, optimizer: Optimizer, regularizer: str = "none", regularizer_weight: float | None = None
) -> Attachment:
    """Keep the learned actions of a model in shape while an optimizer trains it.

    After every step, `project_` scales the matrices that the optimizer trains, where their kind needs it
    (`LearnedMatrices`). Before every step, the gradient of the regularizer is added to theirs; gradients that were
    clipped before stay clipped without it. To attach again replaces the hooks. A copy of an optimizer has no hooks.

    Args:
        model: a converted network, or any network with modules of `lgn_hf.nn`.
        optimizer: of torch, or what `accelerator.prepare` returned.
        regularizer: `"none"`, `"nuclear"` (eq. 14) or `"logdet"` (appendix B), of the matrices of `LearnedMatrices`.
        regularizer_weight: mu; by default the regularizer's own.

    Raises:
        ValueError: the optimizer trains none of the model's learned actions, or the regularizer is not one of these.
    """
    check_regularizer(regularizer)
    optimizer = _innermost(optimizer)
    actions = [module for module in model.modules() if isinstance(module, GroupModule)]
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    mine = [action for action in actions if any(id(parameter) in trained for parameter in action.parameters())]
    if not mine and any(parameter.requires_grad for action in actions for parameter in action.parameters()):
        raise ValueError(
            "the optimizer trains none of the learned actions of this model: make it from the parameters of the "
            "converted model; for a copy of the model, pass the copy as `model`"
        )
    if optimizer in _ATTACHED:
        _ATTACHED[optimizer].remove()
    mu = REGULARIZERS[regularizer].default_weight if regularizer_weight is None else regularizer_weight
    regularized = [action.weight for action in mine if isinstance(action, LearnedMatrices)]

    def add_gradient(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for weight in regularized:
            _add_gradient(weight, regularizer, mu)

    def project(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for action in mine:
            action.project_()

    handles = [optimizer.register_step_post_hook(project)]
    if regularizer != "none" and mu:
        handles.append(optimizer.register_step_pre_hook(add_gradient))
    _ATTACHED[optimizer] = Attachment(handles)
    return _ATTACHED[optimizer]


def check_regularizer(name: str) -> None:
    """Raise a ValueError for a regularizer that the hooks do not know."""
    known = [kind.name for kind in REGULARIZERS.values() if not kind.trains_inverses]
    if name not in known:
        raise ValueError(f"regularizer={name!r}: must be one of {', '.join(known)}")


def _innermost(optimizer: Any) -> Optimizer:
    """The optimizer in accelerate's wrapper, whose hooks are those that run."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


def _add_gradient(weight: Tensor, regularizer: str, mu: float) -> None:
    if not weight.requires_grad:
        return
    with torch.enable_grad():
        copy = weight.detach().to(torch.promote_types(weight.dtype, torch.float32)).requires_grad_()
        (gradient,) = torch.autograd.grad(mu * REGULARIZERS[regularizer](copy).sum(), copy)
    gradient = gradient.to(weight.dtype)
    weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
