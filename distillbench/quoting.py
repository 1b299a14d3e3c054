"""Quotes what a stranger's code gave or raised: in one short line, and never with an error."""

from __future__ import annotations

_MOST = 300


def quoted(value: object, most: int = 80) -> str:
    """Writes a value as Python would, cut after `most` characters; its type alone where it cannot be written."""
    try:
        return _cut(str.__str__(repr(value)), most)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a stranger's __repr__ may raise anything; a number may have too many digits
        return f"an object of type {name_of(type(value))}"


def reason_of(error: BaseException) -> str:
    """Writes an exception's type and message in one line."""
    name = name_of(type(error))
    try:
        text = _line(str.__str__(str(error)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a stranger's __str__ may raise anything
        text = ""
    return f"{name}: {_cut(text, _MOST)}" if text else name


def name_of(cls: type) -> str:
    """Reads a class's name past whatever its metaclass says of it."""
    name: str = type.__dict__["__name__"].__get__(cls)
    return _line(name)


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
