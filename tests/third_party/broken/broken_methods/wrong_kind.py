"""Offers a loss as a selector."""

from distillbench import hookimpl
from distillbench.interfaces import MatchingLoss


@hookimpl
def frame_selectors() -> dict[str, type]:
    """Offers a class of another kind."""
    return {"a-loss": MatchingLoss}
