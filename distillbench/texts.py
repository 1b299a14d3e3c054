"""Texts where several may stand."""

from __future__ import annotations

from collections.abc import Sequence


def several(texts: Sequence[str]) -> tuple[str, ...]:
    """Lists texts; one that stands alone is one, and not its letters."""
    return (texts,) if isinstance(texts, str) else tuple(texts)
