"""P-values from the mismatches of searches without symmetry."""

from lgn_hf.discovery.null import Null

DRAWS = [0.18, 0.19, 0.2, 0.21, 0.22]


def test_a_search_that_ends_nowhere_does_not_hide_a_symmetry():
    assert Null({2: [*DRAWS, 0.9]}).p_value(2, 0.1) < 5 * Null({2: [*DRAWS, 0.22]}).p_value(2, 0.1)


def test_an_order_is_judged_by_its_own_draws_more_than_by_others():
    wide = [0.1, 0.14, 0.2, 0.26, 0.4]
    null = Null({2: 4 * DRAWS, 3: 4 * wide})
    assert null.p_value(2, 0.08) < 0.2 * null.p_value(3, 0.08)
    assert Null({2: DRAWS}).p_value(2, 0.1) < Null({2: DRAWS, 3: wide}).p_value(2, 0.1)


def test_more_draws_make_p_values_smaller():
    assert Null({2: 4 * DRAWS}).p_value(2, 0.12) < Null({2: DRAWS}).p_value(2, 0.12)


def test_within_the_draws_a_p_value_is_a_rank():
    assert Null({2: DRAWS}).p_value(2, 0.19) == 3 / 6
