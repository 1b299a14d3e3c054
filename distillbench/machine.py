"""What this process may use of the machine that it runs on."""

from __future__ import annotations

import os


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows do not tie a process to cores
