"""`discover`: the linear symmetries of a point cloud, each with a p-value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .closure import close
from .evidence import Evidence
from .held_out import MOST_COST, relative_cost
from .null import Null, num_clusters, scrambled
from .planting import cyclic_table, plant
from .polish import best_matched
from .refine import refined
from .result import Discovery, FoundAction, Power
from .search import SMALLEST, Candidate, Effort, search
from .whitening import Cloud, checked_points, whiten

if TYPE_CHECKING:
    from ..nn import LinearGroup

ORDERS = (2, 3, 4, 5, 6, 7, 8)
PLANTED_NOISE = 0.2
PRODUCT_ALPHA = 0.1  # products of found symmetries are symmetries, too, so they need less evidence
MORE_DRAWS = 3  # times null_draws, where a p-value is near alpha; 1 where there are more than MANY_POINTS
MANY_POINTS = 120
NEAR_ALPHA = 30.0  # the smallest p-value of an order is near if it lies within this factor

Progress = Callable[[str, int, int], None]


def discover(
    points: Any,
    orders: Iterable[int] | None = None,
    seed: int = 0,
    *,
    coactivation: Any = None,
    frequency: Any = None,
    amplitude: Any = None,
    labels: Any = None,
    coverage: float = 1.0,
    held_out: Any = None,
    alpha: float = 0.001,
    null_draws: int = 8,
    null: Mapping[int, list[float]] | None = None,
    power_trials: int = 3,
    scale_free: bool | None = None,
    effort: Effort | None = None,
    progress: bool | Progress = False,
) -> Discovery:
    """Find every non-trivial linear map that permutes the points, A w_k = c_k w_pi(k), and only those.

    Args:
        points: (N, d), one point per row, or an object with `.atoms`, such as a `Dictionary`.
        orders: smallest powers p with A^p = I to search for; 2 to 8 by default.
        seed: of everything random. Equal seeds give equal results.
        coactivation: (N, N), how often two points are on together; by default that of the dictionary.
        frequency: (N,), how often each point is on.
        amplitude: (N,), how strong each point is.
        labels: (N,), classes that a symmetry must keep.
        coverage: the share of the points whose images are among the points. Below 1, an action is judged by the points that it
            matches best: the others may have lost their images.
        held_out: (M, d), other points of the same kind, or an object with `.atoms`: those of a dictionary of other data. An action
            must match the points to them about as well as the identity does; see the module `held_out`.
        alpha: the largest p-value that counts as found. Beside the group that was found, an action needs p^(1/|G|) <= alpha.
        null_draws: searches without symmetry for each order. An order with a p-value near alpha gets three times as many more, or as
            many again if there are more than 120 points.
        null: the `null` of an earlier result for like points, with at least these orders; by default it is drawn.
        power_trials: planted symmetries per order; 0 leaves `power` out.
        scale_free: whether a symmetry may rescale points; see `whiten`.
        effort: how much each search does; by default it depends on N.
        progress: True shows a bar on stderr; a function is called with (stage, done, total).

    Raises:
        ValueError: the points or the evidence are malformed.
    """
    given = {"coactivation": coactivation, "frequency": frequency, "amplitude": amplitude}
    if hasattr(points, "atoms"):
        given = {name: value if value is not None else getattr(points, name, None) for name, value in given.items()}
        points = points.atoms
    tried = _checked_orders(orders)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must lie above 0 and be at most 1, got {coverage}")
    if null_draws < 5:
        raise ValueError(f"null_draws must be at least 5, got {null_draws}")
    if null is not None and any(len(null.get(order, ())) < 2 for order in tried):
        raise ValueError(f"null must have at least two draws for each order {tried}, got orders {tuple(null)}")
    matrix = checked_points(points)
    others = None if held_out is None else _checked_held_out(held_out, matrix)
    cloud = whiten(matrix, scale_free)
    n, r = cloud.points.shape
    evidence = Evidence.checked(len(matrix), cloud.kept, **given, labels=labels, coverage=coverage)
    common: dict[str, Any] = {
        "num_points": n, "dim": r, "alpha": alpha, "orders": tried, "notes": tuple(cloud.notes),
    }  # fmt: skip
    if n <= r:
        reason = (
            f"{n} points span {r} dimensions, and any permutation of independent points is a linear map: "
            "more points than dimensions are needed"
        )
        return Discovery([], None, False, reason, **common)
    clusters = num_clusters(cloud.points)
    if clusters <= r:
        reason = (
            f"{n} points lie in {clusters} tight clusters, and span {r} dimensions: points of a cluster count as one, and "
            "more points than dimensions are needed"
        )
        return Discovery([], None, False, reason, **common)
    effort = effort or Effort.for_size(n)
    stage = _Stages(progress, len(tried) * (1 + (0 if null else null_draws) + (1 if power_trials else 0)))
    found: dict[int, list[Candidate]] = {}
    draws = {order: list(values) for order, values in (null or dict.fromkeys(tried, ())).items()}
    with stage:
        for order in tried:
            stage("points")
            found[order] = search(cloud.points, evidence, order, _generator(seed, 0, order), effort)

        def draw(order: int, number: int) -> None:
            generator = _generator(seed, 1 + number, order)
            best = search(*scrambled(cloud.points, evidence, generator), order, generator, effort)
            if best:  # a search that ends nowhere says nothing of where searches end
                draws[order].append(best[0].mismatch)

        for number in range(0 if null else null_draws):
            for order in tried:
                stage("null")
                draw(order, number)
        distribution = Null(_complete(draws))

        def p_value(order: int, mismatch: float) -> float:
            return min(1.0, len(tried) * distribution.p_value(order, mismatch))

        def value(c: Candidate) -> float:
            return p_value(_judge(c.order, tried), c.mismatch)

        def made(c: Candidate) -> FoundAction:
            return _action(c, cloud, matrix, coverage, others, value(c))

        def accepts(c: Candidate, most: float) -> bool:
            if value(c) > most:
                return False
            return others is None or relative_cost(matrix, others, refined_matrix(c, cloud, coverage)) <= MOST_COST

        best = {order: min((c.mismatch for c in found[order]), default=1.0) for order in tried}
        near = [p for p in tried if alpha / NEAR_ALPHA < p_value(p, best[p]) < alpha * NEAR_ALPHA]
        more = MORE_DRAWS if n <= MANY_POINTS else 1
        if near and not null:  # more draws, where they decide
            for number in range(null_draws, (1 + more) * null_draws):
                for order in near:
                    draw(order, number)
            distribution = Null(_complete(draws))

        for order in tried:  # where there is one symmetry, look for others of the same order
            if any(value(c) <= alpha for c in found[order]):
                generator = _generator(seed, 0, order, 1)
                found[order] += search(cloud.points, evidence, order, generator, effort.thorough())
        beating = [c for order in tried for c in found[order] if accepts(c, alpha)]
        beating.sort(key=lambda c: (value(c), c.mismatch))
        elements, outside = close(cloud.points, evidence, beating, lambda c: accepts(c, PRODUCT_ALPHA), max(tried))
        # The points of an orbit count as one for an action outside the group: its evidence, log p, is there |G| times.
        outside = [c for c in outside if value(c) ** (1 / (1 + len(elements))) <= alpha]
        power = None
        if power_trials:
            power = _power(cloud, tried, distribution, alpha, power_trials, seed, effort, stage)
    group, in_group = _group([made(c) for c in elements])
    actions = sorted([*in_group, *map(made, outside)], key=lambda a: (a.p_value, a.mismatch))
    best = {order: min((c.mismatch for c in found[order]), default=1.0) for order in tried}
    return Discovery(actions, group, True, "", **common, null=draws, best=best, power=power)


def _complete(draws: dict[int, list[float]]) -> dict[int, list[float]]:
    """The draws of each order, at least two. An order without them is judged by the smallest of all, which finds least."""
    smallest = sorted(value for values in draws.values() for value in values)[:2]
    if len(smallest) < 2:
        smallest = [SMALLEST, SMALLEST]  # nothing beats these
    return {order: values if len(values) > 1 else smallest for order, values in draws.items()}


def _judge(order: int, tried: tuple[int, ...]) -> int:
    """The order whose null judges an action of this order."""
    larger = [p for p in tried if p % order == 0] or [p for p in tried if p >= order] or [tried[-1]]
    return larger[0]


def _power(
    cloud: Cloud,
    tried: tuple[int, ...],
    null: Null,
    alpha: float,
    trials: int,
    seed: int,
    effort: Effort,
    stage: Callable[[str], None],
) -> Power:
    n, r = cloud.points.shape
    rates, residuals = {}, []
    for order in tried:
        stage("power")
        if order > r:
            continue
        hits = 0
        for trial in range(trials):
            generator = _generator(seed, 1000 + trial, order)
            points, actions = plant(cyclic_table(order), r, n - n % order, PLANTED_NOISE, generator)
            planted = whiten(points)
            free = Evidence.checked(len(points), planted.kept)
            best = search(planted.points, free, order, generator, effort)
            if not best:
                continue
            right = min(float((planted.matrix(best[0].q) - a).norm() / a.norm()) for a in actions[1:]) < 0.5
            hit = right and len(tried) * null.p_value(order, best[0].mismatch) <= alpha
            hits += hit
            if hit:
                residuals.append(best[0].residual)
        rates[order] = hits / trials
    residual = sum(residuals) / len(residuals) if residuals else 2 * PLANTED_NOISE**2
    return Power(PLANTED_NOISE, residual, rates, trials)


def _action(
    c: Candidate, cloud: Cloud, matrix: Tensor, coverage: float, held_out: Tensor | None, p: float
) -> FoundAction:
    a = refined_matrix(c, cloud, coverage)
    rows = torch.arange(len(matrix))
    permutation = rows.clone()
    live = cloud.copies >= 0
    permutation[live] = cloud.kept[c.permutation[cloud.copies[live]]]
    cost = None if held_out is None else relative_cost(matrix, held_out, a)
    return _named(FoundAction(a, permutation, c.order, c.residual, c.mismatch, p, cost), a)


def _named(action: FoundAction, matrix: Tensor) -> FoundAction:
    """The action with another matrix and its nearest known operations."""
    from ..actions import nearest

    size = math.isqrt(len(matrix))
    near = nearest(matrix[None], size)[0] if size**2 == len(matrix) and size > 1 else None
    return replace(action, matrix=matrix, nearest=near)


def refined_matrix(c: Candidate, cloud: Cloud, coverage: float = 1.0) -> Tensor:
    """The action on the original coordinates, (d, d)."""
    first = cloud.basis.T @ cloud.back @ c.q @ cloud.into @ cloud.basis
    kept = best_matched(cloud.points, c.q, c.permutation, coverage)
    fits = [refined(points, c.permutation, c.order, first, kept) for points in cloud.coordinates]
    a = min(fits, key=lambda fit: fit[1])[0]
    return cloud.basis @ a @ cloud.basis.T + torch.eye(len(cloud.basis), dtype=a.dtype) - cloud.basis @ cloud.basis.T


def _group(elements: list[FoundAction]) -> tuple[LinearGroup | None, list[FoundAction]]:
    """The group of all non-trivial elements, and the elements with the matrices that satisfy its law exactly."""
    from ..nn import LinearGroup

    if not elements:
        return None, elements
    matrices = torch.stack([torch.eye(len(elements[0].matrix), dtype=torch.float64), *(e.matrix for e in elements)])
    flat = matrices.flatten(1)
    sizes = flat.norm(dim=1)
    distances = torch.cdist(flat, flat) / torch.maximum(sizes[:, None], sizes)
    nearest = float(distances.fill_diagonal_(math.inf).min())
    try:
        group = LinearGroup.from_generators(matrices[1:], tolerance=0.99 * nearest, max_order=len(matrices))
    except ValueError:
        return None, elements
    exact = [group.elements[int((group.elements - e.matrix).flatten(1).norm(dim=1).argmin())] for e in elements]
    return group, [_named(e, a) for e, a in zip(elements, exact, strict=True)]


def _checked_orders(orders: Iterable[int] | None) -> tuple[int, ...]:
    tried = ORDERS if orders is None else tuple(sorted(set(orders)))
    if not tried or any(not isinstance(p, int) or p < 2 for p in tried):
        raise ValueError(f"orders must be whole numbers from 2 on, got {tried}")
    return tried


def _checked_held_out(held_out: Any, points: Tensor) -> Tensor:
    others = checked_points(getattr(held_out, "atoms", held_out))
    if others.shape[1] != points.shape[1]:
        raise ValueError(
            f"held_out must have {points.shape[1]} columns as the points, got shape {tuple(others.shape)}"
        )
    return others


def _generator(*numbers: int) -> torch.Generator:
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(seed)


class _Stages:
    """Counts searches, and shows them if asked to."""

    def __init__(self, progress: bool | Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        self.bar: Any = None

    def __enter__(self) -> _Stages:
        if self.progress is True:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self.bar = Bar(console=Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task("search", total=self.total)
        return self

    def __call__(self, stage: str) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, description=stage)
        elif callable(self.progress):
            self.progress(stage, self.done, self.total)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
