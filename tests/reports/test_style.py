"""A method looks the same in every figure, and like no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distillbench.reports import LINES, MARKERS, PALETTE, Look, looks

NAMES = st.lists(st.text(st.characters(codec=None), min_size=1), max_size=60, unique=True)


@given(NAMES, st.randoms())
def test_no_two_methods_look_alike_and_their_order_does_not_matter(names, chance):
    given_looks = looks(names)
    assert len(set(given_looks.values())) == len(names)
    shuffled = [*names]
    chance.shuffle(shuffled)
    assert looks(shuffled) == given_looks


@given(NAMES)
def test_no_colour_is_used_twice_before_all_are_used_once(names):
    colors = [look.color for look in looks(names).values()]
    assert max(map(colors.count, PALETTE)) - min(map(colors.count, PALETTE)) <= 1


def test_a_look_is_the_same_on_every_machine():
    assert looks(["mine"]) == {"mine": Look("#44AA99", "<", "-")}


def test_a_method_that_is_added_changes_the_looks_of_few_others():
    methods = [f"method {number}" for number in range(6)]
    before = looks(methods)
    changed = [
        sum(looks([*methods, f"another {number}"])[name] != before[name] for name in methods)
        for number in range(50)
    ]
    assert sum(changed) / len(changed) < 1


def test_hundreds_of_methods_can_be_told_apart():
    methods = [str(number) for number in range(len(PALETTE) * len(MARKERS) * len(LINES))]
    assert len(set(looks(methods).values())) == len(methods)
