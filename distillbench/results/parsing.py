"""Reads result files and failure files, and names the wrong field of a damaged one."""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distillbench.plain_values import InvalidValueError, below, check_plain, shown
from distillbench.storage import require_regular

if TYPE_CHECKING:  # they take a fifth of a second, and a board that is known parses nothing
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

    from distillbench.results.schema import StoredFailure, StoredResult, StoredSpec

T = TypeVar("T")

_BATCHES = ("1", "256")
"""The batch sizes whose latency every result has."""
_STUDENT = ("student", "selector", "train_selector", "k")
_TEACHER = ("teacher", "teacher_selector")


def plain_json(path: Path) -> Any:
    """Reads a JSON file of plain values.

    Raises `OSError`, or `ValueError` with the reason where a value is not plain.
    """
    require_regular(path)
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text, object_pairs_hook=_each_name_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    check_plain(content, "")
    return content


def parse_result(content: object) -> StoredResult:
    """Reads what a result file holds; raises `InvalidValueError`, naming the field."""
    from distillbench.results.schema import StoredResult

    found: StoredResult = _validated(_adapter(StoredResult), content)
    _check_date(found.finished)
    _check_spec(found.setup, found.network)
    lacking = [batch for batch in _BATCHES if batch not in found.cost.latency]
    if lacking:
        raise InvalidValueError(f"cost.latency lacks {', '.join(lacking)}")
    videos = found.metrics.get("videos", 1)
    if videos is None or videos < 1 or videos != int(videos):
        raise InvalidValueError(
            f"metrics.videos is {shown(videos)}; it must be an integer of at least 1"
        )
    _check_metrics(found)
    return found


def parse_failure(content: object) -> StoredFailure:
    """Reads what a failure file holds; raises `InvalidValueError`, naming the field."""
    from distillbench.results.schema import StoredFailure

    found: StoredFailure = _validated(_adapter(StoredFailure), content)
    if found.finished is not None:
        _check_date(found.finished)
    _check_spec(found.setup, found.network)
    return found


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = max(names, key=names.count)
        raise ValueError(f"{shown(repeated)} is there twice")
    return found


def _no_constant(name: str) -> None:
    # Python's own JSON writes NaN and Infinity, which no other reader takes.
    raise ValueError(f"{name} is not a number")


@functools.cache
def _adapter(cls: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _validated(adapter: TypeAdapter[T], content: object) -> T:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise InvalidValueError(_in_words(error.errors(include_url=False))) from error


def _in_words(errors: list[ErrorDetails]) -> str:
    """Writes the first error in a sentence, with every field that is missing beside it."""
    first = errors[0]
    field = _field(first["loc"])
    if first["type"] != "missing":
        value = first["input"]
        return f"{field or 'it'} is {shown(value)}; it must be {_needed(first)}"
    place = first["loc"][:-1]
    missing = [
        str(error["loc"][-1])
        for error in errors
        if error["type"] == "missing" and error["loc"][:-1] == place
    ]
    return f"{_field(place) or 'it'} lacks {', '.join(missing)}"


def _field(place: tuple[int | str, ...]) -> str:
    name = ""
    for step in place:
        if step != "[key]":  # pydantic's mark for an error in a mapping's key
            name = below(name, str(step))
    return name


def _needed(error: ErrorDetails) -> str:
    """Returns what a value must be."""
    kind = error["type"]
    if kind.startswith("dataclass"):
        return _CLASSES.get(str(error.get("ctx", {}).get("class_name")), "a mapping")
    if kind == "predicate_failed":
        return _PREDICATES[str(error["loc"][-1])] if error["loc"][-1] in _PREDICATES else "another"
    return _WORDS.get(kind, error["msg"].removeprefix("Input should be "))


_CLASSES = {
    "StoredComponent": "a component",
    "StoredEpoch": "an epoch",
    "StoredExport": "an export",
    "StoredLearner": "a learner",
    "StoredNetwork": "a network",
    "StoredPhase": "a phase",
    "StoredTerm": "a term",
    "StoredView": "a view",
}
_PREDICATES = {
    "exported_from": "the name of a file, without a folder",
    "id": "the name of a file, without a folder",
    "network": "the name of a file beside it, without a folder",
    "predictions": "the name of a file beside it, without a folder",
    "quantized_from": "the name of a file, without a folder",
    "test": "a fingerprint",
    "train": "a fingerprint",
    "validation": "a fingerprint",
}
_WORDS = {
    "string_type": "text",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "is_instance_of": "a list",
    "sequence_str": "a list",
    "list_type": "a list",
}


def _check_date(text: str) -> None:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(f"finished is {shown(text)}; it must be a date and time") from error


def _check_spec(spec: StoredSpec, network: str) -> None:
    """Checks that the settings have what the reported network is built from."""
    if network not in spec.networks:
        raise InvalidValueError(f"network is {shown(network)}; it must be one of setup.networks")
    is_student = spec.networks[network].section == "student"
    needed: Sequence[str] = _STUDENT if is_student else _TEACHER
    if is_student and spec.selector is None:  # a student that sees what its teacher sees
        needed = ("student",)
    lacking = [name for name in needed if getattr(spec, name) is None]
    if lacking:
        raise InvalidValueError(f"setup lacks {', '.join(lacking)}")


def _check_metrics(result: StoredResult) -> None:
    """Checks that the data's metrics were computed, and the first of them in every epoch."""
    judged_by = result.data.metrics
    lacking = [name for name in judged_by if name not in result.metrics]
    if lacking:
        raise InvalidValueError(f"metrics lacks {', '.join(lacking)}, which data.metrics names")
    for number, epoch in enumerate(result.history):
        for network, learnt in epoch.networks.items():
            if judged_by[0] not in learnt.validation:
                raise InvalidValueError(
                    f"history.{number}.networks.{network}.validation lacks {judged_by[0]}"
                )
