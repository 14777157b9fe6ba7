"""Invertibility losses: what keeps the learned generators inside the general linear group."""

from __future__ import annotations

import torch
from torch import Tensor


def inverse_loss(actions: Tensor, inverses: Tensor) -> Tensor:
    """||A A~ - I||_F, with A~ a matrix trained beside A ("Learning Linear Groups in Neural Networks", eq. 12).

    Shapes: (..., d, d) and (..., d, d) to (...).
    """
    eye = torch.eye(actions.shape[-1], dtype=actions.dtype, device=actions.device)
    return torch.linalg.matrix_norm(actions @ inverses - eye)


def nuclear_loss(actions: Tensor) -> Tensor:
    """-sum_i sigma_i(A), minus the nuclear norm (eq. 14). Shapes: (..., d, d) to (...).

    The papers' code uses (1/(C d)) sum_i (1 - sigma_i), which has the same minimisers for a rescaled weight.
    """
    return -torch.linalg.svdvals(actions).sum(-1)


def logdet_loss(actions: Tensor) -> Tensor:
    """-sum_i log sigma_i(A) = -log|det A| (appendix B). Shapes: (..., d, d) to (...); infinite where A is singular."""
    return -torch.linalg.slogdet(actions).logabsdet


def regularization(kind: str, actions: Tensor, inverses: Tensor | None) -> Tensor:
    """The loss of every action, (..., d, d) to (...); `inverses` is A~, which only `kind="inverse"` has."""
    if kind == "inverse":
        assert inverses is not None  # the model creates it with this kind
        return inverse_loss(actions, inverses)
    return {"nuclear": nuclear_loss, "logdet": logdet_loss}[kind](actions)
