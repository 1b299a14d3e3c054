"""What a result file must hold: the kind and the range of every value that some reader takes from it.

A value that is not named here may be anything that is plain, and an optional one may be absent: files of older versions
lack some. A check is called with a value and the name of its field, and raises `MisfitError`.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distillbench.plain import MisfitError, below, check_plain, shown
from distillbench.storage import require_regular

Check = Callable[[object, str], None]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}")


def parsed(path: Path) -> Any:
    """Reads a JSON file of plain values; raises `OSError` or `ValueError` with the reason where it holds others."""
    require_regular(path)
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text, object_pairs_hook=_each_name_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    check_plain(content, "")
    return content


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(max(names, key=names.count))} is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


# ------------------------------------------------------------------------------------------------- kinds of values


def _misfit(value: object, field: str, wanted: str) -> MisfitError:
    return MisfitError(f"{field} is {shown(value)}; it must be {wanted}" if field else f"it is no {wanted}")


def _text(value: object, field: str) -> None:
    if not isinstance(value, str):
        raise _misfit(value, field, "text")


def _word(value: object, field: str) -> None:
    if not isinstance(value, str) or not value:
        raise _misfit(value, field, "a name")


def _file_name(value: object, field: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _misfit(value, field, "the name of a file beside it, without a folder")


def _fingerprint(value: object, field: str) -> None:
    if not isinstance(value, str) or not value or "\0" in value or {"", ".", ".."} & set(re.split(r"[/\\]", value)):
        raise _misfit(value, field, "a fingerprint")


def _date(value: object, field: str) -> None:
    _text(value, field)
    try:
        datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise _misfit(value, field, "a date and time") from error


def _number(least: float | None = None, most: float | None = None) -> Check:
    def check(value: object, field: str) -> None:
        within = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not within or not (_at_least(value, least) and (most is None or value <= most)):  # type: ignore[operator]
            bounds = " in [0, 1]" if most is not None else " of at least 0" if least is not None else ""
            raise _misfit(value, field, "a number" + bounds)

    return check


def _whole(least: int | None = None) -> Check:
    def check(value: object, field: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not _at_least(value, least):
            raise _misfit(value, field, "a whole number" + ("" if least is None else f" of at least {least}"))

    return check


def _at_least(value: Any, least: float | None) -> bool:
    return least is None or bool(value >= least)


def _one_of(*values: str) -> Check:
    def check(value: object, field: str) -> None:
        if value not in values:
            raise _misfit(value, field, " or ".join(values))

    return check


def _or_null(kind: Check) -> Check:
    def check(value: object, field: str) -> None:
        if value is not None:
            kind(value, field)

    return check


def _anything(_: object, __: str) -> None:
    return


def _all_of(*kinds: Check) -> Check:
    def check(value: object, field: str) -> None:
        for kind in kinds:
            kind(value, field)

    return check


def _list_of(kind: Check) -> Check:
    def check(value: object, field: str) -> None:
        if not isinstance(value, list):
            raise _misfit(value, field, "a list")
        for number, inner in enumerate(value):
            kind(inner, below(field, str(number)))

    return check


def _not_empty(value: object, field: str) -> None:
    if not value:
        raise _misfit(value, field, "a list that is not empty")


def _mapping_of(kind: Check, names: Check = _anything) -> Check:
    def check(value: object, field: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(value, field, "a mapping")
        for name, inner in value.items():
            names(name, f"a name in {field}")
            kind(inner, below(field, name))

    return check


def _record(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, what: str = "a mapping"
) -> Check:
    """Makes the check of a mapping of these names; it may hold others, too."""

    def check(value: object, field: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(value, field, what)
        lacking = [name for name in required if name not in value]
        if lacking:
            raise MisfitError(f"{field or 'it'} lacks {', '.join(lacking)}")
        for name, kind in {**required, **(optional or {})}.items():
            if name in value:
                kind(value[name], below(field, name))

    return check


# ------------------------------------------------------------------------------------------------------ the files

_section = _one_of("teacher", "student")
_network = _word
_maybe_number = _or_null(_number())
_amount = _number(0)
_count = _whole(0)
_weights = _mapping_of(_number(), _word)

_component = _record(
    {"name": _word, "knobs": _mapping_of(_anything), "distribution": _text, "version": _text}, what="a component"
)
_k = _or_null(_anything)
_view = _record({"selector": _or_null(_word), "k": _k}, what="a view")
_declared = _record({"section": _section, "view": _view}, what="a network")
_term = _record(
    {"loss": _word, "weight": _anything, "teacher": _or_null(_record({"network": _word})), "view": _or_null(_view)},
    what="a term",
)
_learner = _record(
    {"terms": _list_of(_term), "init": _mapping_of(_anything), "view": _or_null(_view)},
    {"optimizer": _mapping_of(_amount)},
    what="a learner",
)
_phase = _record(
    {"name": _text, "epochs": _count, "learners": _mapping_of(_learner, _word)},
    {
        "averages": _mapping_of(_record({"source": _word, "decay": _amount}), _word),
        "ensembles": _mapping_of(_record({"members": _list_of(_word)}), _word),
        "starts": _mapping_of(_word, _word),
    },
    what="a phase",
)
_phase_of_format_1 = _record(
    {"name": _text, "epochs": _count, "objectives": _mapping_of(_weights, _section)},
    {"guides": _mapping_of(_section, _section), "starts": _mapping_of(_section, _section)},
    what="a phase",
)
_STUDENT = {"student": _component, "selector": _component, "train_selector": _component, "k": _whole(1)}
_TEACHER = {"teacher": _component, "teacher_selector": _component}
_SETUP = {
    "data": _component,
    "head": _component,
    "schedule": _component,
    "losses": _mapping_of(_component, _word),
    "training": _mapping_of(_anything),
    "seed": _whole(),
}
_EITHER = {"student": (_STUDENT, _TEACHER), "teacher": (_TEACHER, _STUDENT)}
_FORMAT_1 = {"phases": _list_of(_phase_of_format_1)}
_FORMAT_2 = {"phases": _list_of(_phase), "networks": _mapping_of(_declared, _word)}

_spent = _record({"epochs": _count, "steps": _count, "examples": _count, "seconds": _amount})
_learnt = _record({"terms": _mapping_of(_number()), "validation": _mapping_of(_maybe_number)}, {"best": _count})
_epoch = _record(
    {"phase": _text, "epoch": _count, "seconds": _amount, "networks": _mapping_of(_learnt, _network)}, what="an epoch"
)

_result = _record(
    {
        "id": _file_name,
        "setup": _mapping_of(_anything),
        "metrics": _all_of(_mapping_of(_maybe_number, _word), _record({}, {"videos": _whole(1)})),
        "cost": _record(
            {
                **dict.fromkeys(("macs", "flops", "published_macs"), _or_null(_amount)),
                **dict.fromkeys(("parameters", "peak_memory", "frames_read", "bytes_read"), _amount),
                "latency": _record(
                    {
                        "1": _record({"median": _amount, "p95": _amount}, {"load": _or_null(_amount)}),
                        "256": _record({"throughput": _amount}),
                    }
                ),
                "evaluation_seconds": _record(dict.fromkeys(("reading", "model", "metric", "sum"), _amount)),
            },
            {"memory_batch": _whole(1), "exits": _list_of(_mapping_of(_amount))},
        ),
        "history": _list_of(_epoch),
        "finished": _date,
        "network": _network,
        "warnings": _list_of(_text),
        "data": _record(
            {
                "fingerprints": _record({"test": _fingerprint}, dict.fromkeys(("train", "validation"), _fingerprint)),
                "videos": _record({"train": _whole(1)}, {"validation": _count, "test": _whole(1)}),
                "metrics": _all_of(_list_of(_word), _not_empty),
            }
        ),
        "machine": _record({"device": _text, "precision": _text}, {"threads": _whole(1), "runs_beside": _count}),
        "budget": _record({"epoch_chosen_by": _text, "teacher": _spent, "student": _spent}),
        "versions": _mapping_of(_text),
        "sources": _mapping_of(_text),
        "files": _record({"network": _file_name, "predictions": _file_name}),
    },
    {
        "preset": _or_null(_text),
        "objective": _weights,
        "fidelity": _or_null(_mapping_of(_or_null(_number()))),
        "quantized_from": _file_name,
        "interface": _whole(1),
    },
)
_failure = _record(
    {
        "id": _file_name,
        "status": _one_of("failed", "not applicable"),
        "reason": _text,
        "network": _network,
        "setup": _mapping_of(_anything),
        "warnings": _list_of(_text),
    },
    {"preset": _or_null(_text), "attempts": _whole(1), "finished": _date},
)


def result(content: object) -> None:
    """Checks what a result file holds; raises `MisfitError`."""
    _asked(content, _result)
    _judged(content)


def failure(content: object) -> None:
    """Checks what a failure file holds; raises `MisfitError`."""
    _asked(content, _failure)


def _judged(content: Any) -> None:
    """Checks that the metrics that the data is judged by are there, the first in every epoch."""
    first, *others = content["data"]["metrics"]
    lacking = [name for name in (first, *others) if name not in content["metrics"]]
    if lacking:
        raise MisfitError(f"metrics lacks {', '.join(lacking)}, by which data.metrics says it is judged")
    for number, row in enumerate(content["history"]):
        for network, learnt in row["networks"].items():
            if first not in learnt["validation"]:
                raise MisfitError(f"history.{number}.networks.{network}.validation lacks {first}")


def _asked(content: Any, kind: Check) -> None:
    """Checks a file, and the setup in it, which depends on the network that the file is about."""
    kind(content, "")
    setup, network = content["setup"], content["network"]
    if "networks" not in setup:
        _section(network, "network")
        _checked(setup, _FORMAT_1, network)
        return
    _FORMAT_2["networks"](setup["networks"], "setup.networks")
    if network not in setup["networks"]:
        raise MisfitError(f"network is {shown(network)}; it must be one of setup.networks")
    _checked(setup, _FORMAT_2, setup["networks"][network]["section"])


def _checked(setup: object, parts: dict[str, Check], section: str) -> None:
    """Checks a setup whose reported network is built from a section; its selector may be either's."""
    required, optional = _EITHER[section]
    if section == "student" and "selector" not in (setup if isinstance(setup, dict) else {}):
        required = {"student": _component}
    _record(_SETUP | parts | required, optional)(setup, "setup")
