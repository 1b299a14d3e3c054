"""A run's settings by dotted name, as `--set` and `--where` say them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SAID_AS = {"losses": "loss"}
_CHOICE = {"name", "knobs", "distribution", "version"}


def settings_of(setup: Mapping[str, Any], write: Callable[[Any], str] = str) -> dict[str, str]:
    """Flattens a described setup: `student.cell_size`, `loss.ce.label_smoothing`, `phases.match.epochs`.

    An entry of a list is called by its name, or by the loss that it names, where no other is called so.

    write: how a value is written.
    """
    flat: dict[str, str] = {}
    for name, value in setup.items():
        _flatten(value, _SAID_AS.get(name, name), flat, write)
    return flat


def _flatten(value: Any, name: str, into: dict[str, str], write: Callable[[Any], str]) -> None:
    if isinstance(value, Mapping) and value.keys() >= _CHOICE and isinstance(value["knobs"], Mapping):
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
            told = number if title is None or called.count(title) > 1 else title
            _flatten(rest, f"{name}.{told}", into, write)
    else:
        into[name] = write(value)
