"""Checks what plugins give.

Each thing is checked once, so that everything else may rely on it.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from distillbench import interfaces
from distillbench.interfaces import (
    Cell,
    Figure,
    LabelKind,
    MetricNeeds,
    Publication,
    Table,
)
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import PLAIN, fits, knobs_of, wrong_groups
from distillbench.untrusted import quoted, reason_of

_NAME = re.compile(r"\w[\w-]*")
_SUFFIX = re.compile(r"(\.\w+)+")

_IDENTITY = (
    *("run", "data", "encoder", "selector", "train_selector", "k", "loss", "schedule", "head"),
    *(
        "preset",
        "seed",
        "seeds",
        "plugins",
        "warnings",
        "settings",
        "files",
        "metrics",
        "judged_by",
    ),
    *("status", "reason", "configuration", "train_videos", "precision", "device"),
    *("exporter", "runtime", "file_bytes"),
)
_MEASURED = (
    *("videos", "classes", "classes_with_positives", "ties", "macs", "flops", "published_macs"),
    *("frames", "bytes", "parameters", "memory", "latency", "latency_p95", "throughput"),
    *("runs_beside", "latency_doubtful", "train_seconds", "still_improving", "epoch_chosen_by"),
    *("arm", "trials", "tuned_space", "training_macs", "budget"),
    *("same_top_1", "same_top_20", "teacher_kl", "teacher_cka"),
    *(
        f"{n}_{w}"
        for n in ("teacher", "student")
        for w in ("epochs", "steps", "examples", "seconds")
    ),
)
_MADE_LATER = (*("like_best", "like_best_by", "method"),)
COLUMNS = frozenset((*_IDENTITY, *_MEASURED, *_MADE_LATER))
"""Columns of the leaderboard and of reports, and counts in results, which no metric is called."""
_ENDINGS = ("_sd", "_low", "_high")
"""What a metric's standard deviation and interval are called, behind its name."""


def wrong_name(kind: str, name: object) -> str:
    """Returns what is wrong with a component's name.

    It must fit on a command line and in a list.
    """
    if type(name) is not str:
        return f"the name {quoted(name)}, which is not text"
    if not _NAME.fullmatch(name):
        return f"the name {quoted(name)}; a name is made of letters, digits, '_' and '-'"
    if kind == "metric" and is_column(name):
        return f"the name {quoted(name)}, which is a column of the leaderboard"
    return ""


def is_column(name: str) -> bool:
    """Tells whether a name is that of a column of the leaderboard that is not a metric."""
    return name in COLUMNS or name.endswith(_ENDINGS)


def wrong_class(kind: str, cls: object) -> str:
    """Returns why a class cannot be a component of a kind, whatever looking at it raises.

    Nothing where it can.
    """
    try:
        return next(_faults(kind, cls), "")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a metaclass or a descriptor may raise anything
        return f"cannot be looked at: {reason_of(error)}"


def _faults(kind: str, cls: object) -> Iterator[str]:
    base = KINDS[kind].base
    if not _derives(cls, base):
        yield (
            f"is {quoted(cls)}; it must be a class derived from"
            f" distillbench.interfaces.{base.__name__}"
        )
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
    """Tells whether it is a class that derives from base, and whose `isinstance` says so."""
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
    abstract = [
        name for name in needed if getattr(getattr(cls, name), "__isabstractmethod__", False)
    ]
    if inspect.isabstract(cls):
        abstract += getattr(cls, "__abstractmethods__", ())
    if abstract:
        yield f"leaves abstract: {', '.join(sorted(set(abstract)))}"
    for name in sorted(needed):
        found, wanted = (
            getattr(cls, name),
            "property" if isinstance(getattr(base, name), property) else "method",
        )
        if not (isinstance(found, property) if wanted == "property" else callable(found)):
            yield f"has a {name} that is {quoted(found)}; it must be a {wanted}"


def _knobs(cls: type) -> Iterator[str]:
    try:
        parameters = inspect.signature(cls).parameters.values()
        knobs, wrong = knobs_of(cls), wrong_groups(cls)
    except Exception as error:
        yield f"has knobs that cannot be read: {reason_of(error)}"
        return
    if wrong:
        yield wrong
    loose = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
    if loose:
        yield f"takes **{loose[0]}: knobs that nobody can list"
    for knob in knobs:
        if not fits(knob):
            yield (
                f"has a knob '{knob.name}' that takes {knob.type_name}, and its default is"
                f" {quoted(knob.default)}"
            )


def _exclusive(cls: type) -> Iterator[str]:
    groups = getattr(cls, "exclusive_knobs", ())
    known = {knob.name for knob in knobs_of(cls)}
    listed = [groups] if not isinstance(groups, (tuple, list)) else list(groups)
    if any(not isinstance(group, (tuple, list)) or not known.issuperset(group) for group in listed):
        yield (
            f"has exclusive_knobs that are {quoted(groups)}; they must be groups of its knobs'"
            " names"
        )


def _data(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "label_kind", get_args(LabelKind))
    if type(getattr(cls, "label_loss", None)) is not str:
        yield (
            f"has a label_loss that is {quoted(getattr(cls, 'label_loss', None))}; it must be text"
        )
    wrong = wrong_settings(getattr(cls, "recipe", None))
    if wrong:
        yield f"has a recipe that {wrong}"
    metrics = getattr(cls, "metrics", None)
    if not isinstance(metrics, (tuple, list)) or not _are_names(metrics):
        yield f"has metrics that are {quoted(metrics)}; they must be a tuple of names, each once"
    yield from _publication(getattr(cls, "publication", None))


def _publication(found: object) -> Iterator[str]:
    if found is None:
        return
    if not isinstance(found, Publication):
        yield f"has a publication that is {quoted(found)}; it must be a Publication or None"
        return
    for name in ("splits", "mirrors"):
        names = getattr(found, name, None)
        if not isinstance(names, (tuple, list)) or not _are_names(names):
            yield f"has a publication with {name} that are {quoted(names)}; they must be names"
    if type(getattr(found, "base", None)) is not str:
        yield "has a publication without a base, the URL that its files begin with"


def _are_names(names: Sequence[object]) -> bool:
    return all(type(name) is str for name in names) and len(set(names)) == len(names)


def _selector(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "keeps", get_args(interfaces.Keeps))
    stride = getattr(cls, "scan_stride", None)
    if not isinstance(stride, property) and (type(stride) is not int or stride < 0):
        yield f"has a scan_stride that is {quoted(stride)}; it must be an integer of at least 0"


def _learned_selector(cls: type) -> Iterator[str]:
    reads = getattr(cls, "reads", None)
    if type(reads) is not tuple or any(type(name) is not str for name in reads):
        yield f"has reads that are {quoted(reads)}; they must be a tuple of features' names"


def _schedule(cls: type) -> Iterator[str]:
    reports = getattr(cls, "reports", None)
    if type(reports) is not str or not reports:
        yield f"has reports that is {quoted(reports)}; it must be the name of a network"


def _label_loss(cls: type) -> Iterator[str]:
    yield from _loss(cls)
    kinds = getattr(cls, "default_for", None)
    if type(kinds) is not frozenset or not kinds <= set(get_args(LabelKind)):
        yield (
            f"has default_for that is {quoted(kinds)}; it must be a frozenset of:"
            f" {', '.join(get_args(LabelKind))}"
        )


def _loss(cls: type) -> Iterator[str]:
    found = getattr(cls, "requirements", None)
    if not isinstance(found, interfaces.Requirements):
        yield (
            f"has requirements that are {quoted(found)}; they must be"
            " distillbench.interfaces.Requirements"
        )
        return
    for attribute, words in (
        ("needs", interfaces.Need),
        ("valid_for", LabelKind),
        ("refused_for", LabelKind),
        ("claims", interfaces.Claim),
    ):
        named = getattr(found, attribute)
        if type(named) not in (frozenset, set):
            yield (
                f"has requirements whose {attribute} are {quoted(named)}; they must be a frozenset"
            )
            return
        strange = [word for word in named if type(word) is not str or word not in get_args(words)]
        if strange:
            known = ", ".join(get_args(words))
            yield (
                f"has requirements whose {attribute} name {quoted(strange[0])}; there are: {known}"
            )


def _executor(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "is_default", (True, False))
    yield from _one_of(cls, "shares_machine", (True, False))
    yield from _one_of(cls, "remote", (True, False))


def _exporter(cls: type) -> Iterator[str]:
    suffix = getattr(cls, "suffix", None)
    if type(suffix) is not str or not _SUFFIX.fullmatch(suffix):
        yield (
            f"has a suffix that is {quoted(suffix)}; it must be a dot and what follows it, such as"
            " .pt2"
        )
    for attribute in ("runtime", "precision"):
        word = getattr(cls, attribute, None)
        if type(word) is not str or (word and not _NAME.fullmatch(word)):
            yield f"has a {attribute} that is {quoted(word)}; it must be a name"


def _report(cls: type) -> Iterator[str]:
    needs = getattr(cls, "needs", None)
    if type(needs) is not str or (needs and not _NAME.fullmatch(needs)):
        yield f"has needs that are {quoted(needs)}; they must be the name of a sweep file, or empty"
    rows = getattr(cls, "check_rows", None)
    if not isinstance(rows, (tuple, list)):
        yield f"has check_rows that are {quoted(rows)}; they must be a tuple of mappings"
        return
    wrong = next(filter(None, map(wrong_settings, rows)), "")
    if wrong:
        yield f"has a row in check_rows that {wrong}"


def _metric(cls: type) -> Iterator[str]:
    title = getattr(cls, "title", None)
    if type(title) is not str or not title or not title.isprintable():
        yield f"has a title that is {quoted(title)}; it must be text in one line"
    for attribute in ("higher_is_better", "each_epoch"):
        yield from _one_of(cls, attribute, (True, False))
    yield from _one_of(cls, "needs", get_args(MetricNeeds))
    kinds = getattr(cls, "label_kinds", None)
    if type(kinds) is not frozenset or not kinds or not kinds <= set(get_args(LabelKind)):
        known = ", ".join(get_args(LabelKind))
        yield f"has label_kinds that are {quoted(kinds)}; they must be a frozenset of: {known}"
        return
    places = getattr(cls, "default_place", None)
    if type(places) is not dict or any(type(place) is not int for place in places.values()):
        yield f"has a default_place that is {quoted(places)}; it must be a dict to integers"
    elif not kinds.issuperset(places):
        yield f"has a default_place for {quoted(list(places))} and label_kinds {quoted(set(kinds))}"


def _nothing(cls: type) -> Iterator[str]:
    yield from ()


def _may_be_default(cls: type) -> Iterator[str]:
    yield from _one_of(cls, "is_default", (True, False))


_ATTRIBUTES = {
    "data": _data,
    "selector": _selector,
    "learned-selector": _learned_selector,
    "schedule": _schedule,
    "preset": _may_be_default,
    "label-loss": _label_loss,
    "matching-loss": _loss,
    "report": _report,
    "metric": _metric,
    "executor": _executor,
    "exporter": _exporter,
    "backbone": _may_be_default,
}


def _one_of(cls: type, attribute: str, words: Sequence[object]) -> Iterator[str]:
    value = getattr(cls, attribute, None)
    if not any(type(value) is type(word) and value == word for word in words):
        known = ", ".join(map(str, words))
        yield f"has a {attribute} that is {quoted(value)}; there are: {known}"


def wrong_settings(settings: object) -> str:
    """Returns why these cannot be settings by name.

    A mapping from text to numbers, text, truth values or None.
    """
    if not isinstance(settings, Mapping):
        return f"is {quoted(settings)}; it must be a mapping from setting to value"
    for name, value in settings.items():
        if type(name) is not str:
            return f"sets {quoted(name)}; a setting's name is text"
        if type(value) not in PLAIN:
            return (
                f"sets {quoted(name)} to {quoted(value)}; a value is a number, text, true, false or"
                " none"
            )
    return ""


def wrong_report(made: object) -> str:
    """Returns why this can be neither printed as a table nor drawn as a figure.

    Nothing where it can.
    """
    try:
        if isinstance(made, Figure):
            return "" if callable(made.draw) else f"a figure whose draw is {quoted(made.draw)}"
        if isinstance(made, Table):
            return next(_faults_of_table(made), "")
        return f"{quoted(made)}; it must be a Table or a Figure of distillbench.interfaces"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what derives from Table may raise anything
        return f"what cannot be looked at: {reason_of(error)}"


def _faults_of_table(table: Table) -> Iterator[str]:
    for attribute in ("title", "published"):
        if type(getattr(table, attribute)) is not str:
            yield (
                f"a table whose {attribute} is {quoted(getattr(table, attribute))}; it must be text"
            )
    for attribute in ("heads", "notes"):
        texts = getattr(table, attribute)
        if not isinstance(texts, tuple) or any(type(text) is not str for text in texts):
            yield f"a table whose {attribute} are {quoted(texts)}; they must be a tuple of texts"
    for column in table.columns:
        if not isinstance(column, tuple) or [type(text) for text in column] != [str, str]:
            yield f"a table with the column {quoted(column)}; it must be two texts"
    if any(type(number) is not int for number in table.sections):
        yield f"a table whose sections are {quoted(table.sections)}; they must be numbers of rows"
    for number, row in enumerate(table.rows):
        if not isinstance(row, tuple) or len(row) != 2:
            yield f"a table whose row {number} is {quoted(row)}; it must be words, then cells"
            return
        wrong = next(_faults_of_row(table, *row), "")
        if wrong:
            yield f"a table whose row {number} {wrong}"


def _faults_of_row(table: Table, words: Sequence[object], cells: Sequence[object]) -> Iterator[str]:
    if len(words) != len(table.heads) or any(type(word) is not str for word in words):
        yield f"begins with {quoted(words)}; it must be {len(table.heads)} texts, one a head"
    if len(cells) != len(table.columns):
        yield f"has {len(cells)} cells, and there are {len(table.columns)} columns"
    for cell in cells:
        if not isinstance(cell, Cell):
            yield f"has {quoted(cell)} for a cell; it must be a distillbench.interfaces.Cell"
            return
        for attribute in ("value", "spread", "published"):
            value = getattr(cell, attribute)
            if value is not None and not _is_finite(value):
                yield f"has a cell whose {attribute} is {quoted(value)}; it must be finite, or None"
        for attribute, most in (("seeds", 10**9), ("improving", 10**9), ("digits", 20)):
            value = getattr(cell, attribute)
            if type(value) is not int or not 0 <= value <= most:
                yield f"has a cell whose {attribute} are {quoted(value)}"
        for attribute in ("unit", "words"):
            if type(getattr(cell, attribute)) is not str:
                yield f"has a cell whose {attribute} are {quoted(getattr(cell, attribute))}"


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)
