"""The name of a finite group, from its Cayley table."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

from torch import Tensor


def element_orders(table: Tensor) -> list[int]:
    """The order of each element: the smallest k >= 1 with g^k = identity, which is element 0."""
    rows = table.tolist()
    orders = []
    for element in range(len(rows)):
        power, order = element, 1
        while power != 0:
            power, order = rows[power][element], order + 1
        orders.append(order)
    return orders


def group_name(table: Tensor) -> str:
    """A name that isomorphic groups share.

    Cyclic groups are C_n, other abelian groups products such as Z_2 x Z_2. The symmetric group of three things is S_3
    (D_3 is the same group); other dihedral groups are D_n, of order 2n. Q_8, A_4, S_4 and A_5 are known too, and
    products of one of these with Z_2. All others are called by their order.

    Args:
        table: whole numbers (|G|, |G|); row a, column b is the product of a and b; the identity is element 0.
    """
    orders = element_orders(table)
    if bool((table == table.T).all()):
        factors = _invariant_factors(orders)
        return f"C_{len(table)}" if len(factors) < 2 else " x ".join(f"Z_{factor}" for factor in factors)
    name = _name_of_factor(table.tolist(), orders)
    return name or _name_of_product(table, orders) or f"group of order {len(table)}"


def _name_of_factor(rows: list[list[int]], orders: list[int]) -> str | None:
    """The name of a group that is not abelian, of those that are known."""
    count = len(rows)
    if count == 6:
        return "S_3"
    half = count // 2
    for turn in (g for g, order in enumerate(orders) if order == half):
        powers = {0}
        power = turn
        while power != 0:
            powers.add(power)
            power = rows[power][turn]
        others = [g for g in range(count) if g not in powers]
        # In a dihedral group, every element outside the rotations is a reflection.
        if all(orders[g] == 2 for g in others):
            return f"D_{half}"
    known: dict[tuple[tuple[int, int], ...], str] = {
        ((1, 1), (2, 1), (4, 6)): "Q_8",
        ((1, 1), (2, 3), (3, 8)): "A_4",
        ((1, 1), (2, 9), (3, 8), (4, 6)): "S_4",
        ((1, 1), (2, 15), (3, 20), (5, 24)): "A_5",
    }
    return known.get(tuple(sorted(Counter(orders).items())))


def _name_of_product(table: Tensor, orders: list[int]) -> str | None:
    """The name of Z_2 x H for a group H of half the order, which a central involution splits off."""
    count = len(table)
    rows = table.tolist()
    central = [z for z in range(1, count) if orders[z] == 2 and all(rows[z][g] == rows[g][z] for g in range(count))]
    for z in central:
        for members in _subgroups_of_half_order(rows):
            if z not in members:
                index = {g: i for i, g in enumerate(members)}
                half = table[members][:, members].apply_(lambda g, index=index: index[g])
                return f"Z_2 x {group_name(half)}"
    return None


def _subgroups_of_half_order(rows: list[list[int]]) -> list[list[int]]:
    """Subgroups of index 2, each as its sorted elements. They are the kernels of homomorphisms onto {0, 1}."""
    count = len(rows)
    found = []
    # A homomorphism onto {0, 1} is fixed by its values on generators; few suffice.
    generators = generating_set(rows)
    for bits in range(1, 2 ** len(generators)):
        sign = {0: 0}
        frontier = [0]
        consistent = True
        while frontier and consistent:
            element = frontier.pop()
            for i, generator in enumerate(generators):
                product, value = rows[element][generator], sign[element] ^ (bits >> i & 1)
                if product not in sign:
                    sign[product] = value
                    frontier.append(product)
                consistent &= sign[product] == value
        if consistent:
            found.append([g for g in range(count) if sign[g] == 0])
    return found


def generating_set(rows: list[list[int]]) -> list[int]:
    """Few elements that generate a group, chosen greedily: each adds the most elements."""
    generators: list[int] = []
    reached = {0}
    while len(reached) < len(rows):
        outside = [g for g in range(len(rows)) if g not in reached]
        closures = {g: _generated(rows, [*generators, g]) for g in outside}
        best = max(outside, key=lambda g: len(closures[g]))
        generators.append(best)
        reached = closures[best]
    return generators


def without_redundant(rows: list[list[int]], generators: list[int]) -> list[int]:
    """Those of the generators that the ones before them do not generate."""
    kept: list[int] = []
    for generator in generators:
        if generator not in _generated(rows, kept):
            kept.append(generator)
    return kept


def _generated(rows: list[list[int]], generators: list[int]) -> set[int]:
    reached, frontier = {0}, [0]
    while frontier:
        element = frontier.pop()
        for generator in generators:
            product = rows[element][generator]
            if product not in reached:
                reached.add(product)
                frontier.append(product)
    return reached


def _invariant_factors(orders: list[int]) -> list[int]:
    """d_1 | d_2 | ... with Z_{d_1} x Z_{d_2} x ... isomorphic to an abelian group, from its elements' orders."""
    count = len(orders)
    factors: list[int] = []
    for prime in _primes(count):
        # |G[p^k]| = p^(number of cyclic factors of order >= p^j, summed over j <= k)
        sizes, power = [0], prime
        while count % power == 0:
            sizes.append(round(math.log(sum(power % order == 0 for order in orders), prime)))
            power *= prime
        ranks = [b - a for a, b in pairwise(sizes) if b > a]
        powers = [prime ** sum(rank > i for rank in ranks) for i in range(ranks[0])]  # largest first
        factors += [1] * (len(powers) - len(factors))
        factors = [factor * (powers[i] if i < len(powers) else 1) for i, factor in enumerate(factors)]
    return factors[::-1]


def _primes(number: int) -> list[int]:
    primes, candidate = [], 2
    while number > 1:
        if number % candidate == 0:
            primes.append(candidate)
            while number % candidate == 0:
                number //= candidate
        candidate += 1
    return primes
