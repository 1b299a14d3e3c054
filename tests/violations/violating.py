"""Turns an honest component into one that lies about a single thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def violating(base: type, honest: Mapping[str, Any], **lies: Any) -> type:
    """Makes a class that is honest in all but what is given."""
    doc = "Lies about one thing."
    return type(base)("Liar", (base,), {"__module__": __name__, "__doc__": doc, **honest, **lies})
