"""From generators to a finite group: multiply until nothing new appears, then make the group law exact."""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEPS = 100  # of the iteration that makes the law exact; it converges quadratically, so few are needed
EXACT = 1e-10  # relative error of the group law that counts as exact in float64


def close(generators: Tensor, tolerance: float, max_order: int) -> Tensor:
    """All products of the generators, up to `tolerance`, identity first.

    Shapes: (m, d, d) to (|G|, d, d), float64.

    Raises:
        ValueError: more than `max_order` products are different.
    """
    dim = generators.shape[-1]
    elements = torch.eye(dim, dtype=generators.dtype)[None]
    closest = float("inf")  # of the products that were taken for new elements
    frontier = elements
    while len(frontier):
        fresh = []
        for product in (frontier[:, None] @ generators).flatten(0, 1):
            distance = float(relative_distances(product[None], elements).min())
            if distance > tolerance:
                closest = min(closest, distance)
                elements = torch.cat([elements, product[None]])
                fresh.append(product)
            if len(elements) > max_order:
                raise ValueError(
                    f"the generators do not close to a group of at most max_order={max_order} elements: of their "
                    f"products, none comes nearer to another than {closest:.2g} (relative), and tolerance={tolerance:g}"
                )
        frontier = torch.stack(fresh) if fresh else elements[:0]
    return elements


def relative_distances(matrices: Tensor, others: Tensor) -> Tensor:
    """|A - B| / max(|A|, |B|) in Frobenius norm for all pairs. Shapes: (a, d, d), (b, d, d) to (a, b)."""
    first, second = matrices.flatten(1), others.flatten(1)
    differences = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
    return differences / torch.maximum(first.norm(dim=1)[:, None], second.norm(dim=1)[None])


def cayley_table(elements: Tensor) -> tuple[Tensor, float]:
    """The table of nearest products, and the largest relative distance of a product from its nearest element.

    Shapes: (|G|, d, d) to (|G|, |G|), where elements[a] @ elements[b] is nearest to elements[table[a, b]].
    """
    rows, worst = [], 0.0
    for element in elements:  # row by row bounds the memory
        distances = relative_distances(element @ elements, elements)
        nearest = distances.min(1)
        rows.append(nearest.indices)
        worst = max(worst, float(nearest.values.max()))
    return torch.stack(rows), worst


def check_table(table: Tensor) -> None:
    """Raise a ValueError unless the table is that of a group whose identity is element 0."""
    count = len(table)
    everyone = torch.arange(count)
    if table.shape != (count, count) or not bool((table.sort(0).values == everyone[:, None]).all()):
        raise ValueError("the Cayley table is not that of a group: a column does not hold every element once")
    if not bool((table.sort(1).values == everyone).all()):
        raise ValueError("the Cayley table is not that of a group: a row does not hold every element once")
    if not bool((table[0] == everyone).all() and (table[:, 0] == everyone).all()):
        raise ValueError("the Cayley table does not have its identity as element 0")
    if not bool((table[table] == table[:, table]).all()):  # (ab)c = a(bc)
        raise ValueError("the Cayley table is not associative")


def inverses_of(table: Tensor) -> Tensor:
    """The inverse of each element: (|G|,)."""
    return (table == 0).int().argmax(1)


def nearest_representation(elements: Tensor, table: Tensor) -> Tensor:
    """Matrices near `elements` that satisfy the group law exactly: rho(a) rho(b) = rho(ab).

    Each step takes rho(g) to the mean over h of rho(gh) rho(h)^-1. Exact representations stay as they are, and from an
    error e of the law each step leaves one of order e^2. From a large error the steps may lead far away, even to matrices of
    which two are equal. Then `projected_representation` is the answer.

    Raises:
        ValueError: no group lies near `elements`, or the nearest one would mix up two of them.
    """
    found = elements
    for _ in range(STEPS):
        if _law_holds(found, table):
            break
        moved = found[table] @ torch.linalg.inv(found)  # (g, h, d, d)
        found = moved.mean(1)
        found = torch.linalg.solve(found[0], found)  # identity first
    if not _law_holds(found, table) or not _within_half_the_distance(found, elements):
        found = projected_representation(elements, table)
    nearest = relative_distances(found, elements).argmin(1)
    if not _law_holds(found, table) or not bool((nearest == torch.arange(len(elements))).all()):
        raise ValueError(
            f"no group lies near these matrices: the group law fails by {law_error(elements, table):.2g} (relative)"
        )
    return found


def projected_representation(elements: Tensor, table: Tensor) -> Tensor:
    """The representation in the part of the regular one, with d copies, that `elements` nearly span.

    The blocks rho(h^-1 g), in row h and column g, make a matrix of rank d if rho is a representation. Its columns then span
    a space that the group permutes. If rho is nearly one, this is the space of the d largest singular values.

    Shapes: (|G|, d, d) to the same.
    """
    count, dim = elements.shape[:2]
    inverses = inverses_of(table)
    metric = torch.linalg.cholesky((elements.mT @ elements).mean(0)).mT  # that nearly all elements keep
    rho = metric @ elements @ torch.linalg.inv(metric)
    blocks = rho[table[inverses]].transpose(1, 2).reshape(count * dim, count * dim)
    space = torch.linalg.eigh(blocks @ blocks.T)[1][:, -dim:]
    column = rho[inverses].flatten(0, 1)
    u, _, vh = torch.linalg.svd(space.T @ column)
    parts = (space @ (u @ vh)).reshape(count, dim, dim)
    exact = (parts[table].mT @ parts).sum(1)  # sum_h W(gh)^T W(h)
    return torch.linalg.inv(metric) @ exact @ metric


def _within_half_the_distance(found: Tensor, elements: Tensor) -> bool:
    """Whether each matrix is nearer to its own element than half the distance of any two elements."""
    between = relative_distances(elements, elements).fill_diagonal_(math.inf)
    return bool(relative_distances(found, elements).diagonal().max() < between.min() / 2)


def _law_holds(elements: Tensor, table: Tensor) -> bool:
    return law_error(elements, table) <= EXACT


def law_error(elements: Tensor, table: Tensor) -> float:
    """The largest relative error of rho(a) rho(b) = rho(ab)."""
    worst = 0.0
    for element, row in zip(elements, table, strict=True):
        exact = elements[row]
        errors = (element @ elements - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
        worst = max(worst, float(errors.max()))
    return worst
