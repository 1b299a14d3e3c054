"""Says why what a plugin gave cannot be used; asked once, so that everything else may rely on it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from distillbench.interfaces import (
    Claim,
    HeadSharing,
    Keeps,
    LabelKind,
    Need,
    Network,
    Passport,
    Phase,
    Targets,
)
from distillbench.kinds import KINDS
from distillbench.knobs import PLAIN, fits, knobs_of
from distillbench.quoting import quoted, reason_of

_NAME = re.compile(r"\w[\w-]*")


def wrong_name(name: object) -> str:
    """Says what is wrong with a component's name, which must fit on a command line and in a list."""
    if type(name) is not str:
        return f"the name {quoted(name)}, which is no text"
    if not _NAME.fullmatch(name):
        return f"the name {quoted(name)}; a name is made of letters, digits, '_' and '-'"
    return ""


def wrong_class(kind: str, cls: object) -> str:
    """Says why a class cannot be a component of a kind, whatever looking at it raises; nothing where it can."""
    try:
        return next(_faults(kind, cls), "")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a metaclass or a descriptor may raise anything
        return f"cannot be looked at: {reason_of(error)}"


def _faults(kind: str, cls: object) -> Iterator[str]:
    base = KINDS[kind].base
    if not _derives(cls, base):
        yield f"is {quoted(cls)}; it must be a class derived from distillbench.interfaces.{base.__name__}"
        return
    assert isinstance(cls, type)
    yield from _identity(cls)
    yield from _unfinished(cls, base)
    yield from _knobs(cls)
    yield from _ATTRIBUTES.get(kind, _nothing)(cls)
    yield from _exclusive(cls)
    wrong = wrong_settings(getattr(cls, "check_knobs", {}))
    if wrong:
        yield f"has check_knobs that {wrong}"


def _derives(cls: object, base: type) -> bool:
    """Tells whether it is a class that really derives from base, and says so when it is asked."""
    if not issubclass(type(cls), type):
        return False
    parents: Sequence[type] = type.__dict__["__mro__"].__get__(cls)
    return any(parent is base for parent in parents) and issubclass(cls, base)  # type: ignore[arg-type]


def _identity(cls: type) -> Iterator[str]:
    """Looks at what every class has."""
    for attribute in ("__name__", "__qualname__", "__module__"):
        if type(getattr(cls, attribute)) is not str:
            yield f"has a {attribute} that is {quoted(getattr(cls, attribute))}; it must be text"
    if not all(part.isidentifier() for part in cls.__module__.split(".")):
        yield f"says that its module is {quoted(cls.__module__)}"
    for doc in (cls.__doc__, vars(cls).get("__doc__")):
        if doc is not None and type(doc) is not str:
            yield f"has a docstring that is {quoted(doc)}; it must be text"
    hash(cls)
    if not (cls == cls and {cls: True}.get(cls) and cls.__bases__ and cls.__mro__):
        yield "is not equal to itself"


def _unfinished(cls: type, base: type) -> Iterator[str]:
    needed = frozenset[str](getattr(base, "__abstractmethods__", ()))
    abstract = [name for name in needed if getattr(getattr(cls, name), "__isabstractmethod__", False)]
    if inspect.isabstract(cls):
        abstract += getattr(cls, "__abstractmethods__", ())
    if abstract:
        yield f"leaves abstract: {', '.join(sorted(set(abstract)))}"
    for name in sorted(needed):
        if not callable(getattr(cls, name)):
            yield f"has a {name} that is {quoted(getattr(cls, name))}; it must be a method"


def _knobs(cls: type) -> Iterator[str]:
    try:
        parameters = inspect.signature(cls).parameters.values()
        knobs = knobs_of(cls)
    except Exception as error:
        yield f"has knobs that cannot be read: {reason_of(error)}"
        return
    loose = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
    if loose:
        yield f"takes **{loose[0]}: knobs that nobody can list"
    for knob in knobs:
        if not fits(knob):
            yield f"has a knob '{knob.name}' that takes {knob.type_name}, and its default is {quoted(knob.default)}"


def _exclusive(cls: type) -> Iterator[str]:
    groups = getattr(cls, "exclusive_knobs", ())
    known = {knob.name for knob in knobs_of(cls)}
    listed = [groups] if not isinstance(groups, (tuple, list)) else list(groups)
    if any(not isinstance(group, (tuple, list)) or not known.issuperset(group) for group in listed):
        yield f"has exclusive_knobs that are {quoted(groups)}; they must be groups of its knobs' names"


def _data(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "label_kind", get_args(LabelKind))
    wrong = wrong_settings(getattr(cls, "recipe", None))
    if wrong:
        yield f"has a recipe that {wrong}"


def _selector(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "keeps", get_args(Keeps))
    stride = getattr(cls, "scan_stride", None)
    if not isinstance(stride, property) and (type(stride) is not int or stride < 0):
        yield f"has a scan_stride that is {quoted(stride)}; it must be a whole number of at least 0"


def _schedule(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "trains_student", (True, False))


def _loss(cls: type) -> Iterator[str]:
    passport = getattr(cls, "passport", None)
    if not isinstance(passport, Passport):
        yield f"has a passport that is {quoted(passport)}; it must be a distillbench.interfaces.Passport"
        return
    for attribute, words in (("needs", Need), ("valid_for", LabelKind), ("claims", Claim)):
        named = getattr(passport, attribute)
        if type(named) not in (frozenset, set):
            yield f"has a passport whose {attribute} are {quoted(named)}; they must be a frozenset"
            return
        strange = [word for word in named if type(word) is not str or word not in get_args(words)]
        if strange:
            known = ", ".join(get_args(words))
            yield f"has a passport whose {attribute} name {quoted(strange[0])}; there are: {known}"


def _nothing(cls: type) -> Iterator[str]:
    yield from ()


_ATTRIBUTES = {"data": _data, "selector": _selector, "schedule": _schedule, "loss": _loss}


def _one_of(cls: type, attribute: str, words: Sequence[object]) -> Iterator[str]:
    value = getattr(cls, attribute, None)
    if not any(type(value) is type(word) and value == word for word in words):
        known = ", ".join(map(str, words))
        yield f"has a {attribute} that is {quoted(value)}; there are: {known}"


def wrong_settings(settings: object) -> str:
    """Says why these cannot be settings by name: a mapping from text to numbers, text, truth values or None."""
    if not isinstance(settings, Mapping):
        return f"is {quoted(settings)}; it must be a mapping from setting to value"
    for name, value in settings.items():
        if type(name) is not str:
            return f"sets {quoted(name)}; a setting's name is text"
        if type(value) not in PLAIN:
            return f"sets {quoted(name)} to {quoted(value)}; a value is a number, text, true, false or none"
    return ""


def wrong_phases(phases: Sequence[object]) -> str:
    """Says why these cannot be the phases of a schedule."""
    for phase in phases:
        if not isinstance(phase, Phase):
            return f"gave {quoted(phase)} for a phase; it must be a distillbench.interfaces.Phase"
        wrong = next(_faults_of_phase(phase), "")
        if wrong:
            return f"gave a phase {quoted(phase.name)} {wrong}"
    return ""


def _faults_of_phase(phase: Phase) -> Iterator[str]:
    networks = get_args(Network)
    if type(phase.name) is not str:
        yield "whose name is no text"
    if type(phase.epochs) is not int or phase.epochs < 0:
        yield f"of {quoted(phase.epochs)} epochs"
    for attribute, words in (("head", HeadSharing), ("targets", Targets)):
        value = getattr(phase, attribute)
        if type(value) is not str or value not in get_args(words):
            yield f"whose {attribute} is {quoted(value)}; there are: {', '.join(get_args(words))}"
    for attribute in ("objectives", "guides", "starts"):
        pairs = getattr(phase, attribute)
        if not isinstance(pairs, Mapping) or any(network not in networks for network in pairs):
            yield f"whose {attribute} are {quoted(pairs)}; they must be a mapping from {' and '.join(networks)}"
            return
    for attribute in ("guides", "starts"):
        others = getattr(phase, attribute).values()
        if any(network not in networks for network in others):
            yield f"whose {attribute} name {quoted(list(others))}; there are: {', '.join(networks)}"
    for learner, terms in phase.objectives.items():
        if not isinstance(terms, Mapping) or any(
            type(loss) is not str or not isinstance(weight, (int, float)) or not math.isfinite(weight)
            for loss, weight in terms.items()
        ):
            yield f"where the {learner} minimises {quoted(terms)}; it must be a mapping from loss to finite weight"
