"""Consoles that are as wide as the terminal, and wide enough for a table where there is none."""

from __future__ import annotations

from rich.console import Console

_WIDE = 160


def console(*, stderr: bool = False) -> Console:
    """Makes a console for what a command answers, or (`stderr`) for what it says on the way."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=_WIDE)
