"""A component's knobs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Registry
from distillbench.registry.knobs import bind, convert, grouped, knobs_of, wrong_groups


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
    assert (knobs["volume"].default, knobs["band"].type_name, knobs["limit"].type_name) == (
        3,
        "fm | am",
        "int | none",
    )


def test_what_is_not_set_has_its_default() -> None:
    values, problems = bind(Radio, {"gain": "2"}, "radio")
    assert not problems
    assert values == {
        "volume": 3,
        "gain": 2.0,
        "loud": False,
        "station": "one",
        "band": "fm",
        "limit": None,
    }


def test_all_problems_are_told_at_once_with_the_nearest_name() -> None:
    _, problems = bind(
        Radio, {"volum": 1, "gain": "high", "band": "lw", "loud": "perhaps"}, "radio"
    )
    assert len(problems) == 4
    assert "radio has no knob 'volum', did you mean 'volume'?" in problems[0]
    assert "knob 'gain' takes float, found 'high'" in problems[1]
    assert any("'band' takes fm | am, found 'lw'" in problem for problem in problems)


def test_a_knob_without_a_default_must_be_set() -> None:
    assert bind(Unset, {}, "thing")[1] == ["thing needs its knob 'needed' (int) to be set"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, int), ("1.5", int), (1.5, int), ("x", float), (3, str), ([1], int), (None, int)],
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
    [
        ("volume", "9" * 5000),
        ("volume", "9" * 400),
        ("volume", 10**400),
        ("gain", 10**400),
        ("gain", 10**5000),
    ],
    ids=["digits", "fewer digits", "whole", "no float", "not even to be written"],
)
def test_a_number_of_thousands_of_digits_is_refused_in_a_short_line(
    knob: str, value: object
) -> None:
    (problem,) = bind(Radio, {knob: value}, "radio")[1]
    assert f"knob '{knob}' takes " in problem
    assert len(problem) < 250


def test_a_training_setting_is_refused_like_any_knob(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"knob 'clip' takes float, found 'nan'"):
        specs([flags({}, ["training.clip=nan"])], registry)


@dataclasses.dataclass(frozen=True)
class Tuner:
    """What two radios share.

    Knobs:
        station: where from.
        gain: how loud.
    """

    station: str = "one"
    gain: float = 1.5


class Receiver:
    """Plays what a tuner finds.

    Knobs:
        gain: how loud, here.
        loud: very.
    """

    def __init__(
        self, width: int, *, tuner: Tuner = Tuner(station="two"), loud: bool = False
    ) -> None:
        self.tuner, self.loud = tuner, loud


def test_the_fields_of_a_frozen_dataclass_are_knobs_of_the_component_itself() -> None:
    knobs = {knob.name: knob for knob in knobs_of(Receiver)}
    assert list(knobs) == ["station", "gain", "loud"]
    assert (knobs["station"].default, knobs["gain"].type_name) == ("two", "float")
    assert knobs["station"].summary == "where from."
    assert knobs["gain"].summary == "how loud, here.", "what the component says of it wins"
    values, problems = bind(Receiver, {"gain": "3"}, "receiver")
    assert (values, problems) == ({"station": "two", "gain": 3.0, "loud": False}, [])
    assert bind(Receiver, {"statoin": 1}, "receiver")[1] == [
        "receiver has no knob 'statoin', did you mean 'station'?; it has: station, gain, loud"
    ]


def test_a_component_is_built_with_its_knobs_put_back_into_their_groups() -> None:
    made = Receiver(7, **grouped(Receiver, {"gain": 3.0, "loud": True}))
    assert (made.tuner, made.loud) == (Tuner("two", 3.0), True)
    assert grouped(Receiver, {}) == {"tuner": Tuner("two")}


@dataclasses.dataclass(frozen=True)
class Two:
    one: int = 2


@dataclasses.dataclass(frozen=True)
class One:
    two: int = 1


def test_a_knob_may_have_the_name_of_a_group() -> None:
    crossed = component({"one": (One, One()), "two": (Two, Two())})
    assert [knob.name for knob in knobs_of(crossed)] == ["two", "one"]
    assert grouped(crossed, {"one": 3, "two": 4}) == {"one": One(4), "two": Two(3)}


VALUES = {
    bool: st.booleans(),
    int: st.integers(-(2**40), 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text("abc 1", max_size=4),
}
NAMES = [f"knob_{letter}" for letter in "abcdefgh"]


def component(parameters: Mapping[str, tuple[type, object]]) -> Any:
    """Makes a class with these keyword-only parameters, which keeps what it is given."""

    def keep(self: Any, *given: object, **values: object) -> None:
        self.values = values

    keywords = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in parameters.items()
    ]
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    keep.__signature__ = inspect.Signature([own, *keywords])  # type: ignore[attr-defined]
    keep.__annotations__ = {name: annotation for name, (annotation, _) in parameters.items()}
    return type("Component", (), {"__init__": keep})


@given(st.data())
def test_a_group_is_seen_set_and_checked_as_if_its_fields_were_parameters(
    data: st.DataObject,
) -> None:
    kinds = data.draw(
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from(list(VALUES)), min_size=1)
    )
    defaults = {name: data.draw(VALUES[kind]) for name, kind in kinds.items()}
    inside = data.draw(st.sets(st.sampled_from(sorted(kinds)), min_size=1))
    shared = dataclasses.make_dataclass(
        "Shared", [(name, kinds[name]) for name in inside], frozen=True
    )
    flat = {name: (kinds[name], defaults[name]) for name in kinds}
    default = shared(**{name: defaults[name] for name in inside})
    alone = {name: knob for name, knob in flat.items() if name not in inside}
    plain, with_group = component(flat), component({"shared": (shared, default), **alone})
    assert not wrong_groups(with_group)
    by_name = {knob.name: knob for knob in knobs_of(plain)}
    assert {knob.name: knob for knob in knobs_of(with_group)} == by_name
    anything = st.one_of(*VALUES.values(), st.none())
    settings = data.draw(st.dictionaries(st.sampled_from([*NAMES, "shared"]), anything))
    (values, problems), (expected, known) = (
        bind(with_group, settings, "it"),
        bind(plain, settings, "it"),
    )
    assert values == expected
    assert [p.partition("; it has")[0] for p in sorted(problems)] == [
        p.partition("; it has")[0] for p in sorted(known)
    ]
    if not problems:
        built = with_group(**grouped(with_group, values)).values
        assert built["shared"] == shared(**{name: values[name] for name in inside})
        assert {**dataclasses.asdict(built.pop("shared")), **built} == values


@dataclasses.dataclass
class Loose:
    station: str = "one"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unrepeatable:
    station: str = "one"
    more: dataclasses.InitVar[str]

    def __post_init__(self, more: str) -> None: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Incomparable:
    station: str = "one"


TUNER: Any = Tuner()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (
            {"tuner": (Tuner, inspect.Parameter.empty)},
            "has a group of knobs 'tuner' without a default; it must be a Tuner",
        ),
        (
            {"tuner": (Tuner, None)},
            "has a group of knobs 'tuner' whose default is None; it must be a Tuner",
        ),
        ({"tuner": (Tuner, Loose())}, "whose default is Loose(station='one'); it must be a Tuner"),
        (
            {"loose": (Loose, Loose())},
            "has a group of knobs 'loose' that is not a frozen dataclass: Loose",
        ),
        ({"tuner": (Tuner, TUNER), "gain": (float, 1.0)}, "has two knobs of one name: gain"),
        (
            {"one": (Tuner, TUNER), "two": (Tuner, TUNER)},
            "has two knobs of one name: gain, station",
        ),
        (
            {"odd": (Unrepeatable, Unrepeatable(more="more"))},
            "'odd' that cannot be made from its fields: ValueError",
        ),
        (
            {"odd": (Incomparable, Incomparable())},
            "'odd' that is not equal to one with the same fields",
        ),
    ],
)
def test_a_group_that_cannot_be_taken_apart_is_refused(
    parameters: Mapping[str, tuple[type, object]], reason: str
) -> None:
    assert reason in wrong_groups(component(parameters))
