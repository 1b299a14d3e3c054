"""A run's settings by dotted name, as `--set` and `--where` say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAID_AS = {"losses": "loss"}


def settings_of(setup: Mapping[str, Any]) -> dict[str, str]:
    """Flattens a described setup: `student.cell_size`, `loss.ce.label_smoothing`, `phases.match.head`."""
    flat: dict[str, str] = {}
    for name, value in setup.items():
        _flatten(value, _SAID_AS.get(name, name), flat)
    return flat


def _flatten(value: Any, name: str, into: dict[str, str]) -> None:
    if isinstance(value, Mapping) and {"name", "knobs"} <= value.keys():
        into[name] = str(value["name"])
        for knob, set_to in value["knobs"].items():
            _flatten(set_to, f"{name}.{knob}", into)
        into[f"{name}.distribution"] = f"{value['distribution']} {value['version']}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}", into)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for number, inner in enumerate(value):
            _flatten({k: v for k, v in inner.items() if k != "name"}, f"{name}.{inner.get('name', number)}", into)
    else:
        into[name] = str(value)
