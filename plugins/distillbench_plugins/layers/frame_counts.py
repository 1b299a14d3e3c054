"""A knob that lists numbers of frames."""

from __future__ import annotations

from distillbench.errors import ConfigError
from distillbench.interfaces import ViewSpec

ALL = ViewSpec("teacher_selector")
"""What a teacher sees of a video: as a rule all frames."""


def falling(text: str, schedule: str) -> list[int]:
    """Reads numbers of frames that fall, separated by commas.

    Raises `ConfigError`, which names the schedule.
    """
    counts = [int(word) if word.strip().isdecimal() else 0 for word in text.split(",")]
    if counts[-1] < 1 or counts != sorted(set(counts), reverse=True):
        raise ConfigError(
            [f"schedule {schedule}: frames={text} is not a list of numbers that fall, as 30,15"]
        )
    return counts
