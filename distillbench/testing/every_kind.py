"""What a component of every kind promises."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from distillbench.interfaces import Table
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import convert, describe, knobs_of
from distillbench.testing import toy_runs, toys
from distillbench.testing.cached_data import opened, own_cache, with_data
from distillbench.testing.promises import Broken, Subject, expect, seeded


def of_kind(kind: str) -> Any:
    """Returns the module with a kind's own checks.

    `CHECKS`, and `GIVEN`, a component's positional arguments.
    """
    return importlib.import_module(f"distillbench.testing.{KINDS[kind].checks}")


def says_what_it_is(subject: Subject) -> None:
    """Its own docstring begins with one line that ends in a full stop or colon."""
    doc = inspect.cleandoc(vars(subject.cls).get("__doc__") or "")
    first = doc.partition("\n")[0]
    expect(first, "no docstring of its own")
    expect(len(first) > 8 and first.endswith((".", ":", "!")), f"its first line: {first!r}")


def explains_its_knobs(subject: Subject) -> None:
    """Every knob has a line under `Knobs:` in its docstring, and every line there is a knob's.

    The knobs of a frozen dataclass may have theirs in the dataclass's own docstring.
    """
    silent = [knob.name for knob in knobs_of(subject.cls) if not knob.summary]
    expect(not silent, f"no line `name: what it does` for {', '.join(silent)}")
    section = inspect.cleandoc(vars(subject.cls).get("__doc__") or "").partition("Knobs:\n")[2]
    lines = [
        line for line in section.splitlines() if line.startswith("    ") and line[4:5].isalpha()
    ]
    known = {knob.name for knob in knobs_of(subject.cls)}
    strange = [
        name for name in (line.partition(":")[0].strip() for line in lines) if name not in known
    ]
    expect(not strange, f"lines for what is not a knob: {', '.join(strange)}")


def types_and_defaults_its_knobs(subject: Subject) -> None:
    """Every knob is keyword-only, with a type that a flag can be converted to and a default.

    Types are int, float, bool, str, Literal[...] and unions of these with None.
    """
    loose = [
        p.name
        for p in inspect.signature(subject.cls).parameters.values()
        if p.kind is p.VAR_KEYWORD
    ]
    expect(not loose, f"**{', **'.join(loose)}: knobs that nobody can list")
    for knob in knobs_of(subject.cls):
        expect(knob.default is not inspect.Parameter.empty, f"{knob.name} has no default")
        expect(
            _is_plain(knob.annotation),
            f"{knob.name}: {describe(knob.annotation)}, which no flag can be turned into",
        )
        try:
            converted = convert(knob.default, knob.annotation)
        except ValueError:
            raise Broken(
                f"{knob.name}: {describe(knob.annotation)} = {knob.default!r}, which is none"
            ) from None
        expect(converted == knob.default, f"{knob.name} = {knob.default!r} becomes {converted!r}")


def _is_plain(annotation: object) -> bool:
    if typing.get_origin(annotation) is typing.Literal or annotation in (
        int,
        float,
        bool,
        str,
        type(None),
    ):
        return True
    parts = typing.get_args(annotation)
    return (
        bool(parts)
        and typing.get_origin(annotation) not in (list, dict, tuple, set)
        and all(map(_is_plain, parts))
    )


def builds_from_its_defaults(subject: Subject) -> None:
    """It can be built from nothing but what the framework gives."""
    subject.require_buildable()
    try:
        with seeded(0):
            subject.cls(*of_kind(subject.component.kind).GIVEN)
    except Exception as error:
        given = ", ".join(map(repr, of_kind(subject.component.kind).GIVEN))
        raise Broken(
            f"{subject.cls.__name__}({given}) raised {type(error).__name__}: {error}"
        ) from error


def importing_changes_nothing(subject: Subject) -> None:
    """Importing its module changes nothing.

    No random state, default type, thread count, warning or output.

    Looked at in a fresh process, so that what the module imports on its way counts too.
    """
    expect(not subject.import_effects, "; ".join(subject.import_effects))


def same_seed_same_component(subject: Subject) -> None:
    """Built twice from the same seed, it is the same component."""
    trace = _trace_of(subject)
    first, second = trace(), trace()
    expect(list(first) == list(second), f"parts {list(first)} and then {list(second)}")
    for name, value in first.items():
        other = second[name]
        same = (
            torch.equal(value, other)
            if isinstance(value, Tensor) and isinstance(other, Tensor)
            else value == other
        )
        expect(same, f"{name} differs between two builds from seed 7")


def _trace_of(subject: Subject) -> Callable[[], dict[str, object]]:
    def trace() -> dict[str, object]:
        with own_cache():
            made = (
                with_data(subject, seed=7) if subject.component.kind == "data" else _built(subject)
            )
            with seeded(8):
                return _observed(subject, made)

    return trace


def _built(subject: Subject) -> object:
    return subject.build(*of_kind(subject.component.kind).GIVEN, seed=7)


def _observed(subject: Subject, made: Any) -> dict[str, object]:
    """Returns what is to be seen of a component.

    By its kind: `isinstance` of an interface would run code of every other plugin's classes.
    """
    match subject.component.kind:
        case "selector":
            batch = toys.clips((60, 9, 33))
            scanned = toys.scanned_by(made, batch)
            return {"choice": made.select(batch.lengths, scanned, toys.generator(range(3)), True)}
        case "schedule":
            return {"phases": list(made.phases(7))}
        case "preset":
            return {"settings": dict(made.settings(15))}
        case "report":
            reported = made.make(toy_runs.runs(made.check_rows or toy_runs.ANY))
            return {"made": reported if isinstance(reported, Table) else type(reported).__name__}
        case "metric":
            return {"value": made.compute(of_kind("metric").toy(subject))}
        case "data":
            splits = opened(subject, made)
            return {
                "ids": [list(getattr(splits, name).ids) for name in ("train", "validation", "test")]
            }
        case "executor":
            return {"free": made.free}
        case "exporter":
            return {"suffix": made.suffix}
        case "tuner" | "backbone":  # what it does is looked at by a check of its own
            return {}
        case _:
            return dict(made.state_dict())


def is_final_and_one_level_deep(subject: Subject) -> None:
    """It derives from its interface alone, and nothing derives from it."""
    base = KINDS[subject.component.kind].base
    parents = [parent.__name__ for parent in subject.cls.__bases__]
    expect(
        subject.cls.__bases__ == (base,),
        f"bases {', '.join(parents)}; {base.__name__} alone was expected",
    )
    children: list[type] = type.__subclasses__(subject.cls)
    expect(not children, f"derived from it: {', '.join(child.__qualname__ for child in children)}")


CHECKS = (
    says_what_it_is,
    explains_its_knobs,
    types_and_defaults_its_knobs,
    builds_from_its_defaults,
    importing_changes_nothing,
    same_seed_same_component,
    is_final_and_one_level_deep,
)
