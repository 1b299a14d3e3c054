"""Turns a correct component into one that breaks a single promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def violating(base: type, correct: Mapping[str, Any], **changes: Any) -> type:
    """Makes a class that is correct in all but the given attributes."""
    doc = "Violates one promise."
    return type(base)(
        "Violation", (base,), {"__module__": __name__, "__doc__": doc, **correct, **changes}
    )
