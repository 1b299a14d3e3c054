"""Whether a measured latency can be relied on."""

from __future__ import annotations

STEADY = 1.5
"""How far above the median the 95th percentile may be where nothing disturbed the measurement."""
_BUSY = 1.5
"""Waiting or running programs a core, above which the machine is busy with something else."""


def is_doubtful(median: float, p95: float, runs_beside: int, load: float | None) -> bool:
    """Tells whether a latency was taken while something else may have slowed it down."""
    return p95 > STEADY * median or runs_beside > 0 or (load or 0.0) > _BUSY
