"""Offers a list."""

from distillbench import hookimpl


@hookimpl
def heads() -> list[type]:
    """Offers no names."""
    return []
