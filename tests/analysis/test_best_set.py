"""The set of rows that may be the best holds every truly best row on nineteen boards of twenty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.analysis.best_set import best_set
from distillbench.analysis.intervals import Values

VIDEOS = 200


def board(means: list[float], seeds: int, seed: int, spread: float = 0.5) -> list[Values]:
    """Rows whose values are means over the same videos, with effects of row, seed and both."""
    drawn = np.random.default_rng(seed)
    common, seeds_effect = drawn.standard_normal(VIDEOS), drawn.standard_normal(seeds)
    rows = []
    for mean in means:
        own = 0.5 * drawn.standard_normal(VIDEOS)
        values, influence = {}, {}
        for number in range(seeds):
            scores = (common + own + 0.7 * drawn.standard_normal(VIDEOS)) / np.sqrt(VIDEOS)
            shift = mean + seeds_effect[number] + spread * drawn.standard_normal()
            values[number] = float(scores.sum()) + shift
            influence[number] = scores - scores.mean()
        rows.append(Values(values, influence))
    return rows


@pytest.mark.parametrize(("methods", "seeds"), [(2, 3), (12, 2), (12, 5), (30, 3)])
def test_of_equal_rows_one_is_denied_on_few_boards(methods: int, seeds: int) -> None:
    boards = 200
    wrong = sum(not all(best_set(board([0.0] * methods, seeds, each))) for each in range(boards))
    # 5 % of 200 is 10 on average; more than 20 has a chance of one in a thousand.
    assert wrong <= 20


def test_a_row_that_is_far_better_is_alone_in_the_set() -> None:
    found = best_set(board([0.0, 0.0, 30.0, 0.0, 0.0], 3, 1))
    assert found == [False, False, True, False, False]


def test_of_an_error_the_least_is_the_best() -> None:
    rows = board([0.0, 0.0, -30.0, 0.0], 3, 1)
    assert best_set(rows, higher_is_better=False) == [False, False, True, False]
    assert best_set(rows) == [True, True, False, True]


def test_one_row_that_fails_does_not_hide_the_difference_of_the_others() -> None:
    assert best_set(board([0.0, 20.0, -1e6, 20.0], 3, 1)) == [False, True, False, True]


def test_a_seed_that_is_good_for_all_rows_widens_nothing() -> None:
    rows = board([0.0, 4.0], 3, 2, spread=0.1)
    moved = [
        Values({seed: value + 1e3 * seed for seed, value in row.value.items()}, row.influence)
        for row in rows
    ]
    assert best_set(moved) == best_set(rows) == [False, True]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.integers(2, 4), st.integers(0, 999))
def test_the_row_with_the_best_mean_is_in_the_set_wherever_it_stands(
    means: list[float], seeds: int, seed: int
) -> None:
    rows = board(means, seeds, seed)
    best = max(rows, key=lambda row: row.mean([]))
    for ordered in (rows, rows[::-1]):
        assert best_set(ordered)[ordered.index(best)]


def test_rows_with_the_same_values_are_all_in_the_set() -> None:
    row = board([1.0], 3, 5)[0]
    assert best_set([row, row, row]) == [True, True, True]


def test_rows_may_have_different_seeds() -> None:
    three, two = board([0.0, 50.0], 3, 4), board([0.0], 2, 6)
    assert best_set([*three, *two]) == [False, True, False]
