"""A component's knobs."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.config import flags
from distillbench.errors import ConfigError
from distillbench.grid import setups
from distillbench.knobs import bind, convert, knobs_of
from distillbench.registry import Registry


class Radio:
    """Plays.

    Knobs:
        volume: how loud, which may take
            two lines.
        station: where from.
    """

    def __init__(
        self,
        width: int,
        *,
        volume: int = 3,
        gain: float = 1.5,
        loud: bool = False,
        station: str = "one",
        band: Literal["fm", "am"] = "fm",
        limit: int | None = None,
    ) -> None: ...


class Unset:
    def __init__(self, *, needed: int) -> None: ...


def test_knobs_are_the_keyword_only_parameters_with_their_documentation() -> None:
    knobs = {knob.name: knob for knob in knobs_of(Radio)}
    assert list(knobs) == ["volume", "gain", "loud", "station", "band", "limit"]
    assert knobs["volume"].summary == "how loud, which may take two lines."
    assert (knobs["volume"].default, knobs["band"].type_name, knobs["limit"].type_name) == (3, "fm | am", "int | none")


def test_what_is_not_set_has_its_default() -> None:
    values, problems = bind(Radio, {"gain": "2"}, "radio")
    assert not problems
    assert values == {"volume": 3, "gain": 2.0, "loud": False, "station": "one", "band": "fm", "limit": None}


def test_all_problems_are_told_at_once_with_the_nearest_name() -> None:
    _, problems = bind(Radio, {"volum": 1, "gain": "high", "band": "lw", "loud": "perhaps"}, "radio")
    assert len(problems) == 4
    assert "radio has no knob 'volum', did you mean 'volume'?" in problems[0]
    assert "knob 'gain' takes float, found 'high'" in problems[1]
    assert any("'band' takes fm | am, found 'lw'" in problem for problem in problems)


def test_a_knob_without_a_default_must_be_set() -> None:
    assert bind(Unset, {}, "thing")[1] == ["thing needs its knob 'needed' (int) to be set"]


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), ("1.5", int), (1.5, int), ("x", float), (3, str), ([1], int), (None, int)]
)
def test_a_value_of_another_type_does_not_fit(value: object, kind: type) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is made by bind
        convert(value, kind)


@given(st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False)))
def test_what_a_flag_says_means_what_toml_says(value: bool | int | float) -> None:
    assert convert(str(value), type(value)) == convert(value, type(value)) == value


def test_none_can_be_said_where_it_fits() -> None:
    assert convert("none", int | None) is None
    assert convert("7", int | None) == 7


@pytest.mark.parametrize("value", ["nan", "NaN", "-nan", float("nan")])
def test_no_number_is_not_one(value: object) -> None:
    (problem,) = bind(Radio, {"gain": value}, "radio")[1]
    assert problem == f"radio: knob 'gain' takes float, found {value!r}"
    with pytest.raises(ValueError):  # noqa: PT011 - the message is made by bind
        convert(value, float | None)


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999", float("inf")])
def test_infinity_is_refused_for_no_result_can_hold_it(value: object) -> None:
    (problem,) = bind(Radio, {"gain": value}, "radio")[1]
    assert problem == f"radio: knob 'gain' takes float that is finite, found {value!r}"


@pytest.mark.parametrize(
    ("knob", "value"),
    [("volume", "9" * 5000), ("volume", "9" * 400), ("volume", 10**400), ("gain", 10**400), ("gain", 10**5000)],
    ids=["digits", "fewer digits", "whole", "no float", "not even to be written"],
)
def test_a_number_of_thousands_of_digits_is_refused_in_a_short_line(knob: str, value: object) -> None:
    (problem,) = bind(Radio, {knob: value}, "radio")[1]
    assert f"knob '{knob}' takes " in problem
    assert len(problem) < 250


def test_a_training_setting_is_refused_like_any_knob(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"knob 'clip' takes float, found 'nan'"):
        setups([flags({}, ["training.clip=nan"])], registry)
