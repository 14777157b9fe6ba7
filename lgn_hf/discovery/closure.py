"""Closure: the finite group that found symmetries generate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .evidence import Evidence
from .search import Candidate, candidate

MAX_GROUP = 48
PARTIAL_COPY = 0.15  # a permutation that agrees with elements on more than this, above chance, is a mixture of them
FAR_WORSE = 1.8  # elements of one group have nearly the same mismatch
EXACT_ENOUGH = 0.005  # differences of mismatches below this mean nothing
SAME_MATRIX = 0.1  # squared distance per dimension below which two matrices are one action
SAME_ACTION = 0.5  # two permutations that agree on this share of what they move are one action


def same_action(q: Tensor, permutation: Tensor, other_q: Tensor, other: Tensor) -> bool:
    """Whether two actions nearly agree, as matrices or on most of the points that either moves."""
    return overlap(permutation, other) > SAME_ACTION or float((q - other_q).square().sum()) < SAME_MATRIX * len(q)


def overlap(a: Tensor, b: Tensor) -> float:
    """The share of the points moved by either permutation on which both agree."""
    rest = torch.arange(len(a))
    moved = (a != rest) | (b != rest)
    return float((a[moved] == b[moved]).double().mean()) if bool(moved.any()) else 1.0


def close(
    points: Tensor, evidence: Evidence, found: list[Candidate], accepts: Callable[[Candidate], bool], max_order: int
) -> tuple[list[Candidate], list[Candidate]]:
    """Grow a group from found symmetries, the best first.

    A symmetry joins if its products with the elements, polished, close to a finite set that `accepts` accepts. They must fit
    about as well as the elements.

    Returns:
        The elements without the identity, and found symmetries that do not fit the group.
    """
    elements: list[Candidate] = []
    outside: list[Candidate] = []
    for new in found:
        if any(same_action(new.q, new.permutation, e.q, e.permutation) for e in elements):
            continue
        if elements and _explained(new, elements):
            continue
        larger = _generated(points, evidence, elements, new, accepts, max_order)
        if larger is None:
            outside.append(new)
        else:
            elements = larger
    distinct: list[Candidate] = []
    for c in outside:
        if not _explained(c, elements) and not any(
            same_action(c.q, c.permutation, e.q, e.permutation) for e in distinct
        ):
            distinct.append(c)
    return elements, distinct


def far_worse(elements: list[Candidate]) -> float:
    """The mismatch above which an action fits far worse than these elements."""
    return FAR_WORSE * max(e.mismatch for e in elements) + EXACT_ENOUGH


def _explained(c: Candidate, elements: list[Candidate]) -> bool:
    """Whether the group leaves no room for an action: it is a mixture of elements, or fits far worse than all."""
    if not elements:
        return False
    moved = c.permutation != torch.arange(len(c.permutation))
    copied = torch.stack([c.permutation == e.permutation for e in elements]).any(0)
    chance = len(elements) / len(c.permutation)
    mixture = float(copied[moved].double().mean()) > PARTIAL_COPY + chance
    return mixture or c.mismatch > far_worse(elements)


def _generated(
    points: Tensor,
    evidence: Evidence,
    elements: list[Candidate],
    new: Candidate,
    accepts: Callable[[Candidate], bool],
    max_order: int,
) -> list[Candidate] | None:
    """The group of the elements and one more, or None if it is not finite or an element is not accepted."""
    group = [*elements, new]
    limit = far_worse(group)
    rest = torch.eye(points.shape[1], dtype=points.dtype), torch.arange(len(points))
    done = 0
    while done < len(group):
        one = group[done]
        for other in list(group):
            known = [(e.q, e.permutation) for e in group]
            for a, b in ((one, other), (other, one)):
                q, permutation = a.q @ b.q, a.permutation[b.permutation]  # first b, then a
                if same_action(q, permutation, *rest) or any(same_action(q, permutation, *e) for e in known):
                    continue
                made = _polished_product(points, evidence, q, max_order)
                if made is None or len(group) + 2 > MAX_GROUP:
                    return None
                if any(same_action(made.q, made.permutation, *e) for e in known):
                    continue
                if made.mismatch > limit or not accepts(made):
                    return None
                group.append(made)
                known.append((made.q, made.permutation))
        done += 1
    return group


def _polished_product(points: Tensor, evidence: Evidence, q: Tensor, max_order: int) -> Candidate | None:
    """The symmetry near a product, of the order that its eigenvalues suggest."""
    identity = torch.eye(len(q), dtype=q.dtype)
    for order in range(2, max_order + 1):
        power = torch.linalg.matrix_power(q, order)
        if float((power - identity).square().sum() / len(q)) < 0.25 * order:
            made = candidate(points, evidence, q, order)
            if made is not None and float((made.q - q).square().sum() / len(q)) < 0.5:
                return made
    return None
