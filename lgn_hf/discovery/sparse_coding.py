"""Sparse non-negative codes, and atoms that follow from them: the two halves of dictionary learning.

Rows x of data are coded as x ~ z D with z >= 0 few, where the rows of D are atoms of norm 1:

    minimise  1/2 |x - z D|^2 + penalty * sum_j z_j   over z >= 0 and D
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-10
WARM_UP = 20  # steps that forget everything before them
SAME_ATOM = 0.99  # two atoms of a greater cosine are one


def sparse_codes(data: Tensor, atoms: Tensor, penalty: float, steps: int = 40) -> Tensor:
    """Non-negative codes by FISTA (Beck and Teboulle 2009, section 4), started at zero.

    Args:
        data: (B, d).
        atoms: (N, d).
        penalty: the soft threshold, in units of the data.
        steps: iterations.

    Returns:
        (B, N).
    """
    gram, pull = atoms @ atoms.T, data @ atoms.T - penalty
    step = 1 / float(torch.linalg.matrix_norm(gram, 2) * 1.01)
    codes = point = torch.zeros_like(pull)
    momentum = 1.0
    for _ in range(steps):
        new = torch.addmm(pull, point, gram, alpha=-1).mul_(step).add_(point).clamp_min_(0)
        next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = torch.lerp(codes, new, 1 + (momentum - 1) / next_momentum)
        codes, momentum = new, next_momentum
    return codes


class AtomUpdate:
    """Atoms that are fitted to all batches so far, the older ones counting less.

    Online dictionary learning (Mairal et al. 2010, algorithms 1 and 2): with the running means C of z^T z and B of z^T x,
    each atom in turn becomes d_j + (b_j - c_j D) / C_jj, scaled to norm 1.
    """

    def __init__(self, atoms: Tensor):
        self.atoms = atoms
        count = len(atoms)
        self.products = atoms.new_zeros(count, count)  # C
        self.sums = torch.zeros_like(atoms)  # B
        self.usage = atoms.new_zeros(count)
        self.steps = 0

    def step(self, data: Tensor, codes: Tensor) -> None:
        """Take in one batch (B, d) with its codes (B, N), and move every atom."""
        memory = self.steps / (self.steps + 1) if self.steps < WARM_UP else 1 - 1 / min(self.steps / 4 + 15, 100)
        self.steps += 1
        self.products.mul_(memory).addmm_(codes.T, codes, alpha=1 / len(data))
        self.sums.mul_(memory).addmm_(codes.T, data, alpha=1 / len(data))
        self.usage.mul_(0.9).add_((codes > 0).to(data.dtype).mean(0), alpha=0.1)
        for j, weight in enumerate(self.products.diagonal().tolist()):
            if weight > TINY:
                atom = self.atoms[j] + (self.sums[j] - self.products[j] @ self.atoms) / weight
                self.atoms[j] = atom / atom.norm().clamp_min(TINY)

    def replace_unused(self, data: Tensor, codes: Tensor) -> int:
        """Put the rows that are coded worst in place of atoms that are rarely on, or the same as an earlier atom.

        Returns:
            how many atoms were replaced.
        """
        rare = self.usage < 0.2 * self.usage.mean()
        rare |= ((self.atoms @ self.atoms.T).triu(1) > SAME_ATOM).any(0)
        errors = data - codes @ self.atoms
        worst = errors.norm(dim=1).argsort(descending=True, stable=True)
        unused = rare.nonzero()[:, 0][: len(worst)]
        found = errors[worst[: len(unused)]]
        self.atoms[unused] = found / found.norm(dim=1, keepdim=True).clamp_min(TINY)
        self.products[unused] = 0
        self.products[:, unused] = 0
        self.sums[unused] = 0
        self.usage[unused] = self.usage.mean()
        return len(unused)
