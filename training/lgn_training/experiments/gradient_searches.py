"""Searches for an action by gradient descent, to compare `discover` with.

Three learn a dictionary whose atoms are the orbits W, AW, ..., A^{p-1}W of K basis filters under one action. They alternate exact
sparse codes with a step of Adam on the atoms. They differ in what A may be:

- `free`: any matrix, as the papers' `learned` actions.
- `cyclic`: S P S^-1, with S learned and P the shift within cycles of p coordinates, so that A^p = I.
- `soft permutation`: a doubly stochastic matrix by Sinkhorn iterations, the idea of WSCNN (arXiv 2412.04594).

The fourth, `distribution`, learns a distribution of transformations as Augerino (arXiv 2010.11882) does: exp(t G), t uniform in [-1, 1],
G antisymmetric. G grows as far as transformed data are still coded well by a dictionary that was learned without groups.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lgn_hf.discovery.sparse_coding import sparse_codes
from lgn_training.data.seeds import seeded_generator

STEPS, BATCH, LEARNING_RATE = 1500, 256, 0.01
PENALTY = 0.3  # of the mean norm of a row, as in `learn_dictionary`
SINKHORN_STEPS, SHARPNESS = 10, 3.0  # logits count this much
SPREAD_WEIGHT = 0.05  # what |G| / sqrt(d) is worth, as a share of the cost of the data
ANGLES = torch.linspace(0.1, 1, 10)  # the t at which exp(t G) is compared with the planted group


def shift_within_cycles(dim: int, order: int) -> Tensor:
    """P: (d, d), the shift by one within cycles of p coordinates; the coordinates that are left over stay."""
    index = torch.arange(dim)
    cycles = dim // order * order
    index[:cycles] = index[:cycles].view(-1, order).roll(1, 1).flatten()
    return torch.eye(dim)[index]


def doubly_stochastic(logits: Tensor) -> Tensor:
    """Sinkhorn iterations: rows and columns sum to 1. (d, d) to the same."""
    for _ in range(SINKHORN_STEPS):
        logits = logits - logits.logsumexp(1, keepdim=True)
        logits = logits - logits.logsumexp(0, keepdim=True)
    return logits.exp()


def orbit_search(kind: str, data: Tensor, num_groups: int, order: int, seed: int, steps: int = STEPS) -> list[Tensor]:
    """Learn A by gradient descent. Its powers A, ..., A^{p-1}, (d, d) each.

    Args:
        kind: `free`, `cyclic` or `soft permutation`.
        data: (N, d), rows.
    """
    dim, generator = data.shape[1], seeded_generator(seed)
    basis = torch.randn(num_groups, dim, generator=generator).requires_grad_()
    weight = torch.randn(dim, dim, generator=generator)
    if kind != "soft permutation":
        weight = torch.linalg.qr(weight)[0]  # an orthogonal start keeps all atoms alive
    weight.requires_grad_()
    cycle = shift_within_cycles(dim, order)
    actions: dict[str, Callable[[], Tensor]] = {
        "free": lambda: weight,
        "cyclic": lambda: torch.linalg.solve(weight, weight @ cycle, left=False),
        "soft permutation": lambda: doubly_stochastic(SHARPNESS * weight),
    }
    optimizer = torch.optim.Adam([basis, weight], lr=LEARNING_RATE)
    penalty = PENALTY * float(data.norm(dim=1).mean())
    for _ in range(steps):
        batch = data[torch.randint(len(data), (BATCH,), generator=generator)]
        atoms = _orbits(basis, actions[kind](), order)
        codes = sparse_codes(batch, atoms.detach(), penalty)
        loss = (batch - codes @ atoms).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return [torch.linalg.matrix_power(actions[kind](), power) for power in range(1, order)]


def distribution_search(data: Tensor, atoms: Tensor, seed: int, steps: int = STEPS) -> list[Tensor]:
    """Learn G. The matrices exp(t G) at some t, (d, d) each.

    Args:
        data: (N, d), rows.
        atoms: (K, d), a dictionary of them.
    """
    dim, generator = data.shape[1], seeded_generator(seed)
    weight = (0.3 * torch.randn(dim, dim, generator=generator) / dim**0.5).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=LEARNING_RATE)
    penalty = PENALTY * float(data.norm(dim=1).mean())
    energy = data.square().sum(1).mean()
    for _ in range(steps):
        batch = data[torch.randint(len(data), (BATCH,), generator=generator)]
        times = 2 * torch.rand(8, generator=generator) - 1
        antisymmetric = weight - weight.T
        moved = torch.einsum(
            "tij,tbj->tbi", torch.matrix_exp(times[:, None, None] * antisymmetric), batch.view(8, -1, dim)
        )
        moved = moved.flatten(0, 1)
        codes = sparse_codes(moved.detach(), atoms, penalty)
        cost = (0.5 * (moved - codes @ atoms).square().sum(1) + penalty * codes.sum(1)).mean()
        loss = cost / energy - SPREAD_WEIGHT * antisymmetric.norm() / dim**0.5
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return [*torch.matrix_exp(ANGLES[:, None, None] * (weight - weight.T))]


def _orbits(basis: Tensor, action: Tensor, order: int) -> Tensor:
    """The orbits of all basis filters, of norm 1: (K p, d)."""
    orbit = [basis]
    for _ in range(order - 1):
        orbit.append(orbit[-1] @ action.T)
    atoms = torch.cat(orbit)
    return atoms / atoms.norm(dim=1, keepdim=True).clamp_min(1e-8)
