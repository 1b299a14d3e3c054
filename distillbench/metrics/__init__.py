"""What metrics are made of: accumulators of scores and labels, and ranked lists of predictions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from distillbench.metrics.ranking import precision_derivatives, precision_sums

if TYPE_CHECKING:
    from distillbench.metrics.average_precision import MeanAveragePrecision, mean_average_precision
    from distillbench.metrics.topk import TopK

__all__ = [
    "MeanAveragePrecision",
    "TopK",
    "mean_average_precision",
    "precision_derivatives",
    "precision_sums",
]

_HOME_OF = {
    "MeanAveragePrecision": "average_precision",
    "TopK": "topk",
    "mean_average_precision": "average_precision",
}


def __getattr__(name: str) -> object:
    """Imports what needs torch, which takes a second, when it is first used."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'distillbench.metrics' has no attribute '{name}'")
    module = importlib.import_module(f"distillbench.metrics.{_HOME_OF[name]}")
    found: object = getattr(module, name)
    globals()[name] = found
    return found
