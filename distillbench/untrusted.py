"""Quotes what third-party code gave or raised: in one short line, and never with an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_MOST = 300


def attempted(call: Callable[[], T]) -> tuple[T | None, str]:
    """Runs third-party code, which may raise anything: what it returned, or None and why not.

    `KeyboardInterrupt` alone passes, for it is the user's.
    """
    try:
        return call(), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: it would end the command without a word
        return None, reason_of(error)


def quoted(value: object, most: int = 80) -> str:
    """Writes a value as Python would, cut after `most` characters.

    Its type alone where it cannot be written.
    """
    text, _ = attempted(lambda: str.__str__(repr(value)))  # a number may have too many digits
    return f"an object of type {name_of(type(value))}" if text is None else _cut(text, most)


def reason_of(error: BaseException) -> str:
    """Writes an exception's type and message in one line, which is never empty."""
    name = name_of(type(error)) or "an exception without a name"
    try:
        text = _line(str.__str__(str(error)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # `attempted` would need the reason, and so this text, again
        text = ""
    return f"{name}: {_cut(text, _MOST)}" if text else name


def name_of(cls: type) -> str:
    """Reads a class's name without running its metaclass."""
    name: str = type.__dict__["__name__"].__get__(cls)
    return _line(name)


def _line(text: str) -> str:
    return "".join(
        character if character.isprintable() else "?" for character in " ".join(text.split())
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
