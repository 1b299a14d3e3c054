"""A run's settings by dotted name, as `--set` and `--where` take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SECTION_NAMES = {"losses": "loss"}
_CHOICE = {"name", "knobs", "distribution", "version"}


def settings_of(spec: Mapping[str, Any], write: Callable[[Any], str] = str) -> dict[str, str]:
    """Flattens described settings to names such as `student.width` or `phases.match.epochs`.

    An entry of a list is named by its `name` or its `loss` where that is unique, else by its
    number.

    write: turns a value into text.
    """
    flat: dict[str, str] = {}
    for name, value in spec.items():
        _flatten(value, _SECTION_NAMES.get(name, name), flat, write)
    return flat


def _flatten(value: Any, name: str, into: dict[str, str], write: Callable[[Any], str]) -> None:
    if (
        isinstance(value, Mapping)
        and value.keys() >= _CHOICE
        and isinstance(value["knobs"], Mapping)
    ):
        into[name] = str(value["name"])
        for knob, set_to in value["knobs"].items():
            _flatten(set_to, f"{name}.{knob}", into, write)
        into[f"{name}.distribution"] = f"{value['distribution']} {value['version']}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}", into, write)
    elif isinstance(value, list) and value and all(isinstance(inner, Mapping) for inner in value):
        called = [inner.get("name", inner.get("loss")) for inner in value]
        for number, (inner, title) in enumerate(zip(value, called, strict=True)):
            rest = {k: v for k, v in inner.items() if k != "name"}
            last = number if title is None or called.count(title) > 1 else title
            _flatten(rest, f"{name}.{last}", into, write)
    else:
        into[name] = write(value)
