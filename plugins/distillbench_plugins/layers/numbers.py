"""Numbers that a knob lists as text."""

from __future__ import annotations

from distillbench.errors import ConfigError


def ascending(text: str, knob: str) -> tuple[int, ...]:
    """Reads numbers such as `2,5`, or none; raises `ConfigError` unless they ascend from 1 on.

    knob: what the message calls it, such as `encoder lstm: exits`.
    """
    if not text:
        return ()
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or found[0] < 1 or found != sorted(set(found)):
        raise ConfigError(
            [f"{knob}={text!r} is not a list of ascending integers of at least 1, such as 2,5"]
        )
    return tuple(found)
