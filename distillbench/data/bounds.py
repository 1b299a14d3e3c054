"""Bounds of the numbers that a user chooses."""

from __future__ import annotations

from collections.abc import Mapping

from distillbench.data.naming import shortened
from distillbench.errors import DataError

LARGEST_SEED = 2**63 - 1
MOST_CLASSES = 1_000_000


def require_bounds(whose: str, bounds: Mapping[str, tuple[float, float, float]]) -> None:
    """Raises `DataError` for the first number that is out of its bounds or no number.

    bounds: by its name, each number, the least and the most it may be.
    """
    for name, (value, least, most) in bounds.items():
        if least <= value <= most:
            continue
        must = (
            f"at least {least:,}"
            if value < least
            else f"at most {most:,}"
            if value > most
            else "a number"
        )
        raise DataError(f"{whose}: {name} is {shortened(str(value))} and must be {must}")
