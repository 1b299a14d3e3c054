"""Implements a hook that does not exist."""

from distillbench import hookimpl


@hookimpl
def frame_selektors() -> dict[str, type]:
    """Offers nothing, misspelt."""
    return {}
