"""A component's knobs: its keyword-only constructor parameters, checked against what a user set.

A parameter that is annotated with a dataclass is a group: the dataclass's fields are the knobs,
listed, set and stored as if each were a parameter of the component itself.
"""

from __future__ import annotations

import difflib
import inspect
import math
import types
import typing
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from distillbench.untrusted import quoted, reason_of

MISSING = inspect.Parameter.empty
"""The default of a knob that has none."""

PLAIN = (bool, int, float, str, type(None))
"""The types of what a knob may be set to."""

_LARGEST = 2**64  # no whole number that is computed with, a seed included, has more bits
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True)
class Knob:
    """One setting of a component.

    Its name, its annotation, its default and the line that documents it.
    """

    name: str
    annotation: Any
    default: object
    summary: str = ""

    @property
    def type_name(self) -> str:
        """The annotation as a user reads it: `int`, `float | None`, `concat | top`."""
        return describe(self.annotation)


def describe(annotation: Any) -> str:
    """Writes a knob's annotation the way error messages and listings show it."""
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(describe(part) for part in get_args(annotation))
    if annotation is type(None):
        return "none"
    return getattr(annotation, "__name__", str(annotation))


@cache
def knobs_of(component: type) -> tuple[Knob, ...]:
    """Lists a component's knobs in the order of their declaration.

    The knobs of a group stand in the group's place.

    The line of a knob in the component's docstring wins over that in its group's.
    """
    summaries = _summaries(inspect.getdoc(component) or "")
    knobs = (
        knob
        for declared in _declared(component)
        for knob in (_fields(declared) if _is_group(declared) else (declared,))
    )
    return tuple(replace(knob, summary=summaries.get(knob.name, knob.summary)) for knob in knobs)


def grouped(component: type, values: Mapping[str, object]) -> dict[str, Any]:
    """Turns knobs' values into keyword arguments: those of a group become one instance of it.

    A knob that has no value keeps its default.
    """
    alone = dict(values)
    groups: dict[str, Any] = {}
    for group in filter(_is_group, _declared(component)):
        inside = {knob.name: alone.pop(knob.name) for knob in _fields(group) if knob.name in alone}
        groups[group.name] = replace(group.default, **inside)  # type: ignore[type-var]
    return alone | groups


def wrong_groups(component: type) -> str:
    """Returns why a component's groups of knobs cannot be taken apart and put together.

    Nothing where they can.
    """
    for group in filter(_is_group, _declared(component)):
        wrong = _wrong_group(group.annotation, group.default)
        if wrong:
            return f"has a group of knobs '{group.name}' {wrong}"
    counted = Counter(knob.name for knob in knobs_of(component))
    twice = sorted(name for name, count in counted.items() if count > 1)
    return f"has two knobs of one name: {', '.join(twice)}" if twice else ""


def _wrong_group(cls: Any, default: Any) -> str:
    if not cls.__dataclass_params__.frozen:
        return f"that is not a frozen dataclass: {describe(cls)}"
    if type(default) is not cls:
        found = "without a default" if default is MISSING else f"whose default is {quoted(default)}"
        return f"{found}; it must be a {describe(cls)}"
    try:
        again = replace(default)
    except Exception as error:
        return f"that cannot be made from its fields: {reason_of(error)}"
    return "" if again == default else "that is not equal to one with the same fields"


@cache
def _declared(component: type) -> tuple[Knob, ...]:
    """Lists the keyword-only parameters, a group as one."""
    hints = typing.get_type_hints(component.__init__)  # type: ignore[misc]
    return tuple(
        Knob(p.name, hints.get(p.name, Any), p.default)
        for p in inspect.signature(component).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    )


def _is_group(declared: Knob) -> bool:
    return isinstance(declared.annotation, type) and is_dataclass(declared.annotation)


def _fields(group: Knob) -> tuple[Knob, ...]:
    """Lists the knobs of a group; their defaults are what the group's default instance has."""
    hints = typing.get_type_hints(group.annotation)
    summaries = _summaries(inspect.getdoc(group.annotation) or "")
    return tuple(
        Knob(
            field.name,
            hints[field.name],
            getattr(group.default, field.name, MISSING),
            summaries.get(field.name, ""),
        )
        for field in fields(group.annotation)
        if field.init
    )


def bind(
    component: type, settings: Mapping[str, object], where: str
) -> tuple[dict[str, object], list[str]]:
    """Fills a component's knobs from settings and defaults.

    Returns every knob's value and the list of problems: unknown names (with the nearest known one),
    values of the wrong type, numbers too large to compute with, knobs without a default that were
    not set. `where` (`student NAME`) names the component in the problems.
    """
    knobs = {knob.name: knob for knob in knobs_of(component)}
    problems = [
        f"{where} has no knob '{name}'{nearest(name, knobs)}; it has: {', '.join(knobs) or 'none'}"
        for name in settings
        if name not in knobs
    ]
    values: dict[str, object] = {}
    for name, knob in knobs.items():
        if name not in settings:
            if knob.default is MISSING:
                problems.append(f"{where} needs its knob '{name}' ({knob.type_name}) to be set")
            values[name] = knob.default
            continue
        takes, found = f"{where}: knob '{name}' takes {knob.type_name}", quoted(settings[name])
        try:
            values[name] = convert(settings[name], knob.annotation)
        except ValueError:
            problems.append(f"{takes}, found {found}")
            continue
        limit = _limit(values[name])
        if limit:
            problems.append(f"{takes} {limit}, found {found}")
    return values, problems


def _limit(value: object) -> str:
    """Returns what a number must be, for one that a knob cannot have.

    A result's file holds finite numbers of 64 bits.
    """
    if isinstance(value, float) and math.isinf(value):
        return "that is finite"
    return "of at most 64 bits" if isinstance(value, int) and abs(value) >= _LARGEST else ""


def fits(knob: Knob) -> bool:
    """Tells whether a knob's default, if it has one, is a value that a user could set it to."""
    default = knob.default
    if default is MISSING:
        return True
    try:
        return (
            type(default) in PLAIN
            and convert(default, knob.annotation) == default
            and not _limit(default)
        )
    except ValueError:
        return False


def convert(value: object, annotation: Any) -> object:
    """Turns a flag's text or a TOML value into a knob's type.

    Raises ValueError where it does not fit.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        return _convert_union(value, get_args(annotation))
    if get_origin(annotation) is Literal:
        for choice in get_args(annotation):
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise ValueError(value)
    if annotation is Any or annotation is object:
        return value
    if annotation is type(None):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "")):
            return None
        raise ValueError(value)
    return _convert_plain(value, annotation)


def _convert_union(value: object, choices: Iterable[Any]) -> object:
    for choice in sorted(
        choices, key=lambda part: part is str
    ):  # text fits everything, so it is tried last
        try:
            return convert(value, choice)
        except ValueError:
            continue
    raise ValueError(value)


def _convert_plain(value: object, annotation: Any) -> object:
    if annotation is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
        raise ValueError(value)
    if annotation in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(value)
        if annotation is int and isinstance(value, float):
            raise ValueError(value)
        return _number(value.replace("_", "") if isinstance(value, str) else value, annotation)
    if annotation is str and isinstance(value, str):
        return value
    raise ValueError(value)


def _number(value: int | float | str, annotation: type) -> object:
    try:
        number = annotation(value)
    except OverflowError as error:  # an integer that no float is near to
        raise ValueError(value) from error
    if number != number:  # nan: no knob means it, and every comparison with it passes for false
        raise ValueError(value)
    return number


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `, did you mean 'x'?` for the known name nearest to one that is not, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean '{found[0]}'?" if found else ""


def _summaries(doc: str) -> dict[str, str]:
    """Reads the lines `name: what it does` under a docstring's `Knobs:`."""
    _, _, section = doc.partition("Knobs:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.startswith(" "):
            break
        text = line.strip()
        head, colon, rest = text.partition(":")
        if colon and head.isidentifier() and len(line) - len(line.lstrip()) <= 4:
            name, found[head] = head, rest.strip()
        elif name:
            found[name] += " " + text
    return found
