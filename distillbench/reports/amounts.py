"""How numbers of a leaderboard are written: counts, times and latencies, with few digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DOUBTFUL = "~"
"""The sign before a latency that was measured beside something else."""


def count(value: float | None) -> str:
    """Writes a large count with three significant digits: 1.33 M, 16.8 G."""
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def six_digits(value: object) -> str:
    """Writes a number that was measured with six significant digits, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def amount(value: object) -> str:
    """Writes a number as a count, anything else as it is; `-` for what is empty."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return count(value)
    return str(value or "-")


def duration(seconds: float) -> str:
    """Writes a time with the precision of an estimate: 45 s, 12 min, 1.7 h; `-` for NaN."""
    if math.isnan(seconds):
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def latency(found: Mapping[str, Any]) -> str:
    """Writes the latency of a row of the leaderboard, in milliseconds.

    It begins with `DOUBTFUL` if something else may have slowed the machine down.
    """
    if math.isnan(found["latency"]):
        return "-"
    mark = DOUBTFUL if found["latency_doubtful"] is True else ""
    return f"{mark}{1e3 * found['latency']:.2f} ms"
