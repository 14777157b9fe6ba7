"""Regularizers: losses that keep learned generators invertible, inside the general linear group.

Equation numbers are those of "Learning Linear Groups in Neural Networks".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def inverse_loss(actions: Tensor, inverses: Tensor) -> Tensor:
    """||A A~ - I||_F, with A~ a matrix that is trained beside A (eq. 12).

    Shapes: (..., d, d) and (..., d, d) to (...).
    """
    dim = actions.shape[-1]
    eye = torch.eye(dim, dtype=actions.dtype, device=actions.device)
    distances = torch.baddbmm(eye, actions.reshape(-1, dim, dim), inverses.reshape(-1, dim, dim), beta=-1)
    return torch.linalg.vector_norm(distances.flatten(1), dim=1).view(actions.shape[:-2])


def nuclear_loss(actions: Tensor) -> Tensor:
    """-sum_i sigma_i(A), minus the nuclear norm (eq. 14).

    The papers' code uses (1/(C d)) sum_i (1 - sigma_i), which has the same minimisers for a rescaled weight.

    Shapes: (..., d, d) to (...).
    """
    return -_NuclearNorm.apply(actions)[0]


class _NuclearNorm(torch.autograd.Function):
    """sum_i sigma_i(A) = <A, U V^T>. Its gradient is the polar factor U V^T, so neither needs singular values."""

    generate_vmap_rule = True

    @staticmethod
    def forward(actions: Tensor) -> tuple[Tensor, Tensor]:
        polar = polar_factor(actions)
        return (actions * polar).sum((-2, -1)), polar

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        actions, polar = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated again
            u, _, vh = torch.linalg.svd(actions)
            polar = u @ vh
        return grad[..., None, None] * polar


# Coefficients of odd quintics a x + b x^3 + c x^5. Each is the nearest to 1 on the interval that those before it leave of
# [1e-5, 1], found by Remez exchange (on wide intervals for arguments 0.5% larger, as a guard against rounding). Together
# they map [1e-5, 1] into [1 - 1e-6, 1 + 1e-6].
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
    """U V^T of A = U S V^T, by matrix products alone.

    Newton-Schulz iterations X <- a X + b (X X^T) X + c (X X^T)^2 X raise the singular values of X = A / ||A||_F to 1.
    Directions whose singular value is below 1e-5 ||A||_F (1e-12 in float64) may stay shorter.

    Shapes: (..., d, d) to (..., d, d).
    """
    scale = torch.linalg.matrix_norm(matrices, keepdim=True).clamp_min(torch.finfo(matrices.dtype).tiny)
    x = (matrices / scale).reshape(-1, *matrices.shape[-2:])
    for a, b, c in _TO_ONE_IN_DOUBLE if matrices.dtype == torch.float64 else _TO_ONE:
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.view(matrices.shape)


def logdet_loss(actions: Tensor) -> Tensor:
    """-sum_i log sigma_i(A) = -log|det A| (appendix B); infinite where A is singular.

    Shapes: (..., d, d) to (...).
    """
    return -torch.linalg.slogdet(actions).logabsdet


@dataclass(frozen=True)
class Regularizer:
    """A way to keep actions invertible. To add one, list it in `REGULARIZERS`.

    Attributes:
        name: the value of `regularizer` in the configuration.
        help: a few words for the command line.
        default_weight: mu where the configuration names none.
        loss: from actions (..., d, d), and their auxiliary inverses if `trains_inverses`, to losses (...); None for no
            loss.
        trains_inverses: whether the model trains a matrix A~ beside every action A.
    """

    name: str
    help: str
    default_weight: float
    loss: Callable[..., Tensor] | None
    trains_inverses: bool = False

    def __call__(self, actions: Tensor, inverses: Tensor | None = None) -> Tensor:
        """The loss of every action: (..., d, d) to (...)."""
        if self.loss is None:
            return actions.new_zeros(actions.shape[:-2])
        return self.loss(actions, inverses) if self.trains_inverses else self.loss(actions)


REGULARIZERS = {
    regularizer.name: regularizer
    for regularizer in (
        Regularizer("none", "no loss", 0.0, None),
        Regularizer("inverse", "eq. 12, trains an inverse of each action", 1e-3, inverse_loss, trains_inverses=True),
        Regularizer(
            "nuclear",
            "eq. 14; falls without bound as actions grow, and as cyclic ones become ill-conditioned: use a projection",
            1e-2,
            nuclear_loss,
        ),
        Regularizer("logdet", "appendix B; falls without bound as actions grow: use a projection", 1e-3, logdet_loss),
    )
}
