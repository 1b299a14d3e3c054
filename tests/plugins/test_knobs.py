"""Knobs of shipped components that cannot be are refused before anything is built."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.errors import ConfigError
from distillbench.testing.toys import objective
from distillbench_plugins.layers.knobs import ascending, falling, require_positive
from distillbench_plugins.schedules.any_k import AnyK
from distillbench_plugins.schedules.assistants import Assistants
from distillbench_plugins.schedules.born_again import BornAgain
from distillbench_plugins.schedules.curriculum import Curriculum
from distillbench_plugins.schedules.ensemble import TeacherEnsemble
from distillbench_plugins.schedules.function_matching import FunctionMatching
from distillbench_plugins.schedules.mutual import Mutual
from distillbench_plugins.schedules.scratch import Scratch

ON_LABELS = objective(on_labels=1.0)
DIGITS = "9" * 5000


@pytest.mark.parametrize("value", [0, 1, 101, 1_000_000_000])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: Mutual(ON_LABELS, peers=n), "schedule mutual: peers"),
        (lambda n: TeacherEnsemble(ON_LABELS, teachers=n), "schedule ensemble: teachers"),
        (
            lambda n: BornAgain(ON_LABELS, generations=n),
            "schedule born-again: generations",
        ),
    ],
)
def test_a_schedule_of_no_or_endless_networks_is_refused(
    make: Callable[[int], object], name: str, value: int
) -> None:
    with pytest.raises(ConfigError, match=f"{name}={value} is not an integer from 2 to 100"):
        make(value)


@pytest.mark.parametrize("value", [0, 1001])
@pytest.mark.parametrize("make", [Scratch, FunctionMatching])
def test_a_phase_is_made_at_most_a_thousand_times_as_long(
    make: Callable[..., object], value: int
) -> None:
    with pytest.raises(ConfigError, match=f"epochs_factor={value} is not an integer from 1"):
        make(ON_LABELS, epochs_factor=value)


@pytest.mark.parametrize("make", [Assistants, AnyK, Curriculum])
@pytest.mark.parametrize("frames", ["", "0", "15,30", "30,30", "a", "30,,15", "-1", DIGITS])
def test_numbers_of_frames_that_do_not_fall_are_refused(
    make: Callable[..., object], frames: str
) -> None:
    with pytest.raises(ConfigError, match="is not a list of numbers that fall, as 30,15"):
        make(ON_LABELS, frames=frames)


@given(st.sets(st.integers(1, 1_000_000), min_size=1))
def test_a_list_of_numbers_is_read_in_its_order(counts: set[int]) -> None:
    up = sorted(counts)
    assert ascending(",".join(map(str, up)), "knob") == tuple(up)
    assert falling(", ".join(map(str, up[::-1])), "some") == up[::-1]


@pytest.mark.parametrize("text", ["2,2", "5,2", "0", "x", "2,", DIGITS])
def test_numbers_that_do_not_ascend_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a list of ascending integers"):
        ascending(text, "encoder some: exits")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_not_above_zero_is_named(value: float) -> None:
    with pytest.raises(ConfigError, match=f"loss some: margin={value} is not above 0"):
        require_positive("loss some", margin=value)
