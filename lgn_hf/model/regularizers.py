"""Invertibility losses: what keeps the learned generators inside the general linear group."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def inverse_loss(actions: Tensor, inverses: Tensor) -> Tensor:
    """||A A~ - I||_F, with A~ a matrix trained beside A ("Learning Linear Groups in Neural Networks", eq. 12).

    Shapes: (..., d, d) and (..., d, d) to (...).
    """
    dim = actions.shape[-1]
    eye = torch.eye(dim, dtype=actions.dtype, device=actions.device)
    distances = torch.baddbmm(eye, actions.reshape(-1, dim, dim), inverses.reshape(-1, dim, dim), beta=-1)
    return torch.linalg.vector_norm(distances.flatten(1), dim=1).view(actions.shape[:-2])


def nuclear_loss(actions: Tensor) -> Tensor:
    """-sum_i sigma_i(A), minus the nuclear norm (eq. 14). Shapes: (..., d, d) to (...).

    The papers' code uses (1/(C d)) sum_i (1 - sigma_i), which has the same minimisers for a rescaled weight.
    """
    return -_NuclearNorm.apply(actions)[0]


class _NuclearNorm(torch.autograd.Function):
    """sum_i sigma_i(A) = <A, U V^T>, whose gradient is the polar factor U V^T: no singular value is needed for either."""

    generate_vmap_rule = True

    @staticmethod
    def forward(actions: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        polar = polar_factor(actions)
        return (actions * polar).sum((-2, -1)), polar

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        actions, polar = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            u, _, vh = torch.linalg.svd(actions)
            polar = u @ vh
        return grad[..., None, None] * polar


# Odd quintics a x + b x^3 + c x^5, each the nearest to 1 on the interval that those before it leave of [1e-5, 1] (Remez
# exchange; the wide ones for arguments 0.5% larger, against rounding). Together they leave [1 - 1e-6, 1 + 1e-6].
_TO_ONE = [
    (8.4715, -24.90457, 18.30386),
    (4.23529, -3.11284, 0.57199),
    (4.2335, -3.11174, 0.5719),
    (4.2257, -3.10643, 0.57132),
    (4.19239, -3.08346, 0.56869),
    (4.05879, -2.9916, 0.55839),
    (3.59641, -2.66682, 0.52204),
    (2.62128, -1.92872, 0.44054),
    (1.95294, -1.33723, 0.38624),
    (1.87513, -1.25015, 0.37502),
]
_TO_ONE_IN_DOUBLE = [_TO_ONE[0], *[_TO_ONE[1]] * 11, *_TO_ONE[1:], (1.875, -1.25, 0.375)]


def polar_factor(matrices: Tensor) -> Tensor:
    """U V^T of A = U S V^T, by matrix products alone: (..., d, d) to (..., d, d).

    Newton-Schulz iterations X <- a X + b (X X^T) X + c (X X^T)^2 X raise the singular values of X = A / ||A||_F to 1.
    Directions whose singular value is below 1e-5 ||A||_F (1e-12 in float64) may be left shorter.
    """
    scale = torch.linalg.matrix_norm(matrices, keepdim=True).clamp_min(torch.finfo(matrices.dtype).tiny)
    x = (matrices / scale).reshape(-1, *matrices.shape[-2:])
    for a, b, c in _TO_ONE_IN_DOUBLE if matrices.dtype == torch.float64 else _TO_ONE:
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.view(matrices.shape)


def logdet_loss(actions: Tensor) -> Tensor:
    """-sum_i log sigma_i(A) = -log|det A| (appendix B). Shapes: (..., d, d) to (...); infinite where A is singular."""
    return -torch.linalg.slogdet(actions).logabsdet


def regularization(kind: str, actions: Tensor, inverses: Tensor | None) -> Tensor:
    """The loss of every action, (..., d, d) to (...); `inverses` is A~, which only `kind="inverse"` has."""
    if kind == "inverse":
        assert inverses is not None  # the model creates it with this kind
        return inverse_loss(actions, inverses)
    return {"nuclear": nuclear_loss, "logdet": logdet_loss}[kind](actions)
