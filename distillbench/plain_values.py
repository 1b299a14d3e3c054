"""What a stored file may hold: shallow values that can be written, shown and computed with."""

from __future__ import annotations

import json

_DEEPEST = 40
_LARGEST = 1e100


class InvalidValueError(ValueError):
    """Names the wrong field, its value and what it must be."""


def shown(value: object) -> str:
    """Writes a value as JSON, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_plain(value: object, field: str, depth: int = 0) -> None:
    """Raises `InvalidValueError` unless a value is plain.

    Plain means shallow, of text that can be encoded and of numbers of a sane size.
    """
    if depth > _DEEPEST:
        raise InvalidValueError("it is nested too deeply")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValueError(
                f"{field} is {shown(value)}; it must be text that can be written"
            ) from error
    elif isinstance(value, dict):
        for name, inner in value.items():
            check_plain(name, f"a name in {field or 'the file'}")
            check_plain(inner, below(field, name), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_plain(inner, below(field, str(number)), depth + 1)
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidValueError(f"{field} is a number of more than 64 bits")
    elif isinstance(value, float) and not abs(value) < _LARGEST:
        raise InvalidValueError(f"{field} is {value}; it must be a number below {_LARGEST:g}")


def below(field: str, name: str) -> str:
    """Names a field within another."""
    short = name if name.isprintable() and len(name) <= 60 else shown(name)
    return f"{field}.{short}" if field else short
