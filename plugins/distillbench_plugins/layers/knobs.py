"""Values of knobs that cannot be, and knobs that list numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distillbench.errors import ConfigError

_MOST_FRAMES = 1_000_000


def wrong_counts(whose: str, **counts: tuple[int, int, int]) -> list[str]:
    """Lists the counts that are out of bounds: each knob's value, the least and the most.

    whose: what messages call the component, such as `encoder lstm`.
    """
    return [
        f"{whose}: {name}={value} is not an integer from {least} to {most}"
        for name, (value, least, most) in counts.items()
        if not least <= value <= most
    ]


def not_a_share(whose: str, **values: float) -> list[str]:
    """Lists the knobs that are no share, or all: not within [0, 1)."""
    return [
        f"{whose}: {name}={value} is not within [0, 1)"
        for name, value in values.items()
        if not 0.0 <= value < 1.0
    ]


def outside(whose: str, least: float, most: float, **values: float) -> list[str]:
    """Lists the knobs that are not from the least to the most, both included."""
    return [
        f"{whose}: {name}={value} is not within [{least:g}, {most:g}]"
        for name, value in values.items()
        if not least <= value <= most
    ]


def refuse(problems: Sequence[str]) -> None:
    """Raises `ConfigError` with all problems, if there are any."""
    if problems:
        raise ConfigError(problems)


def not_positive(whose: str, **values: float) -> list[str]:
    """Lists the knobs that are not above 0."""
    return [
        f"{whose}: {name}={value} is not above 0"
        for name, value in values.items()
        if not 0 < value < math.inf
    ]


def require_positive(whose: str, **values: float) -> None:
    """Raises `ConfigError` which names the knobs that are not above 0."""
    refuse(not_positive(whose, **values))


def ascending(text: str, knob: str) -> tuple[int, ...]:
    """Reads numbers of frames such as `2,5`, or none, which ascend from 1 on.

    knob: what the message calls it, such as `encoder lstm: exits`. Raises `ConfigError`.
    """
    counts = _counts(text) if text else []
    if text and (not counts or counts != sorted(set(counts))):
        raise ConfigError(
            [f"{knob}={text!r} is not a list of ascending integers of at least 1, such as 2,5"]
        )
    return tuple(counts)


def falling(text: str, schedule: str) -> list[int]:
    """Reads numbers of frames such as `30,15`, which fall; raises `ConfigError`."""
    counts = _counts(text)
    if not counts or counts != sorted(set(counts), reverse=True):
        raise ConfigError(
            [f"schedule {schedule}: frames={text} is not a list of numbers that fall, as 30,15"]
        )
    return counts


def _counts(text: str) -> list[int]:
    """Returns the numbers of frames in a text, none where one of its words is no such number."""
    words = [word.strip() for word in text.split(",")]
    # Longer ones are not even read: Python refuses integers of thousands of digits.
    if not all(word.isdecimal() and len(word) <= len(str(_MOST_FRAMES)) for word in words):
        return []
    counts = [int(word) for word in words]
    return counts if all(1 <= count <= _MOST_FRAMES for count in counts) else []
