"""Raises when it is asked what it offers."""

from distillbench import hookimpl


@hookimpl
def heads() -> dict[str, type]:
    """Never gets to offering."""
    raise KeyError("weights.bin")
