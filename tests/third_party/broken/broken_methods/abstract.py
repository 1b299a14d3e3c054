"""Offers a head that is not finished."""

from distillbench import hookimpl
from distillbench.interfaces import Head


class Unfinished(Head):
    """Has no forward."""


@hookimpl
def heads() -> dict[str, type[Head]]:
    """Offers `unfinished`."""
    return {"unfinished": Unfinished}
