"""Names that come out of files, short enough for a message whatever they are."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 8
_LONGEST = 60


def enumerated(names: Sequence[str], most: int = _MOST) -> str:
    """Joins the first names, each cut short, and the number of further ones."""
    shown = [shortened(name) for name in names[:most]]
    return ", ".join(shown) + (f", and {len(names) - most:,} more" if len(names) > most else "")


def shortened(name: str) -> str:
    """Cuts the end off a name that is long."""
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
