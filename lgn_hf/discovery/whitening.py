"""Whitening: a basis in which every linear symmetry of a point cloud is orthogonal.

If A maps the points w_i onto each other, A w_i = c_i w_pi(i), and M is a scatter matrix that the permutation and
the scales c_i leave alone, then A M A^T = M and Q = M^(-1/2) A M^(1/2) is orthogonal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

RANK_TOLERANCE = 1e-8  # singular values below this share of the largest count as zero
SAME_POINT = 1e-6  # two rows closer than this share of the typical norm are one point
ZERO_POINT = 1e-12
SHRINKAGE = 0.7  # times r / N: how far the scatter matrix is moved towards the identity
TYLER_STEPS, TYLER_TOLERANCE = 500, 1e-9


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in whitened coordinates, and the way back.

    Attributes:
        points: (N, r), float64, U with U^T U = (N / r) I and rows of mean square norm 1; r is the rank.
        into: (r, d), whitened = into @ w.
        back: (d, r), w = back @ whitened, on the span of the points.
        basis: (d, r), orthonormal, of the span.
        coordinates: (N, r) each, the points in that basis, once for every scaling of the points that may be right.
        kept: (N,) rows of the input, one per point: zero rows and copies are left out.
        copies: (rows of the input,) the point that each row of the input is, -1 for a zero row.
        notes: what was changed, one sentence each.
    """

    points: Tensor
    into: Tensor
    back: Tensor
    basis: Tensor
    coordinates: list[Tensor]
    kept: Tensor
    copies: Tensor
    notes: list[str] = field(default_factory=list)

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    def matrix(self, q: Tensor) -> Tensor:
        """A on the original coordinates, of Q on the whitened ones; the identity off the span of the points.

        Shapes: (r, r) to (d, d).
        """
        d = self.back.shape[0]
        onto = self.back @ self.into
        return self.back @ q @ self.into + torch.eye(d, dtype=q.dtype) - onto


def checked_points(points: Any) -> Tensor:
    """The points as a float64 tensor (N, d) on the CPU.

    Raises:
        ValueError: they are not a matrix of at least two rows, or hold NaN or infinity.
    """
    try:
        tensor = torch.as_tensor(np.asarray(points) if not isinstance(points, Tensor) else points.detach())
    except (TypeError, ValueError):  # objects, or rows of different lengths
        raise ValueError(
            f"points must be a matrix of numbers (N, d), got {type(points).__name__}; "
            "`lgn-hf discover` takes a folder of a model or of images"
        ) from None
    if tensor.ndim != 2 or tensor.shape[0] < 2 or tensor.shape[1] < 1:
        raise ValueError(f"points must be a matrix (N, d) of at least two rows, got shape {tuple(tensor.shape)}")
    if tensor.is_complex():
        raise ValueError("points must be real, got complex numbers")
    tensor = tensor.to("cpu", torch.float64)
    if not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).any(1).sum())
        raise ValueError(f"points must be finite, got NaN or infinity in {bad} of {len(tensor)} rows")
    if float((tensor - tensor[0]).abs().max()) <= SAME_POINT * max(float(tensor.abs().max()), 1e-300):
        raise ValueError("points must differ, got the same row everywhere")
    return tensor


def whiten(points: Tensor, scale_free: bool | None = None, shrinkage: float | None = None) -> Cloud:
    """Whiten a checked point cloud.

    Args:
        points: (N, d), float64.
        scale_free: True: an action may rescale each point, A w_i = c_i w_pi(i) with c_i > 0. The scatter matrix is
            Tyler's, M = (r / N) sum_i w_i w_i^T / (w_i^T M^-1 w_i) (Tyler 1987, equation 1.1), which ignores
            the norms. False: M = sum_i w_i w_i^T. None: True, except where two points lie on one ray, which
            only their norms tell apart.
        shrinkage: share of the identity in the scatter matrix, which keeps directions of little signal from being
            amplified with their noise; by default `SHRINKAGE` r / N.
    """
    notes: list[str] = []
    scale = points.norm(dim=1)
    typical = float(scale.square().mean().sqrt())
    nonzero = scale > ZERO_POINT * typical
    if not bool(nonzero.all()):
        notes.append(f"{int((~nonzero).sum())} zero rows were left out")
    kept, copies = _collapse(points, nonzero, typical)
    if len(kept) < int(nonzero.sum()):
        notes.append(f"{int(nonzero.sum()) - len(kept)} copies of other rows were left out")
    w = points[kept]
    _, s, vh = torch.linalg.svd(w / typical, full_matrices=False)
    rank = int((s > RANK_TOLERANCE * s[0]).sum())
    if rank < points.shape[1]:
        notes.append(f"the points span {rank} of {points.shape[1]} dimensions; the search stays in that span")
    basis = vh[:rank]  # (r, d)
    x = w @ basis.T
    if scale_free is None:
        scale_free = len(kept) > rank and not _share_rays(x)
    if shrinkage is None:
        shrinkage = SHRINKAGE * rank / len(kept)
    x = x / float(x.square().sum(1).mean().sqrt())  # mean square norm 1
    half = torch.eye(rank, dtype=torch.float64)
    coordinates = [x]
    if len(kept) > rank:
        first = x.T @ x / len(x) * rank
        scatter = _tyler(x, first) if scale_free else first
        if scale_free:
            coordinates.append(x / (x * torch.linalg.solve(scatter, x.T).T).sum(1, keepdim=True).sqrt())
        scatter = (1 - shrinkage) * scatter + shrinkage * torch.eye(rank, dtype=x.dtype)
        eigenvalues, vectors = torch.linalg.eigh(scatter)
        half = vectors @ (eigenvalues.rsqrt()[:, None] * vectors.T)
    x = w @ basis.T @ half
    if scale_free:
        coordinates.append((w @ basis.T) / x.norm(dim=1, keepdim=True))
        x = x / x.norm(dim=1, keepdim=True)
    else:
        x = x / float(x.square().sum(1).mean().sqrt())
    into = half @ basis
    return Cloud(x, into, torch.linalg.pinv(into), basis.T, coordinates, kept, copies, notes)


def _tyler(x: Tensor, m: Tensor) -> Tensor:
    """Tyler's scatter matrix of trace r, (r, r), from a first estimate."""
    n, r = x.shape
    for _ in range(TYLER_STEPS):
        q = (x * torch.linalg.solve(m, x.T).T).sum(1)
        new = (r / n) * (x / q[:, None]).T @ x
        new = new * (r / new.trace())
        new = 0.5 * (new + new.T)
        done = float((new - m).abs().max()) < TYLER_TOLERANCE
        m = new
        if done:
            break
    return m


def _collapse(points: Tensor, nonzero: Tensor, typical: float) -> tuple[Tensor, Tensor]:
    """The first row of each point, and the point of each row."""
    grid = (points / (SAME_POINT * typical * 10)).round()
    _, inverse = torch.unique(grid, dim=0, return_inverse=True)
    copies = torch.full((len(points),), -1)
    kept: list[int] = []
    seen: dict[int, int] = {}
    for row, cell in enumerate(inverse.tolist()):
        if not nonzero[row]:
            continue
        if cell not in seen:
            seen[cell] = len(kept)
            kept.append(row)
        copies[row] = seen[cell]
    return torch.tensor(kept), copies


def _share_rays(x: Tensor) -> bool:
    """Whether two points lie on one ray from the origin."""
    unit = x / x.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T).fill_diagonal_(-1)
    return bool(cosines.max() > 1 - 1e-9)
