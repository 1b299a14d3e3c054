"""How often the best prediction is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import Metric, Predictions


class HitAt1(Metric):
    """Hit@1: the share of videos whose best prediction is one of their labels.

    As Google's starter code computes it (`eval_util.py`); a video without label counts as a miss.
    """

    title = "Hit@1"

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video."""
        return float(predictions.hits[:, 0].mean()) if len(predictions) else None

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """Returns what each video adds per copy of it: (V,), summing to 0."""
        hits = predictions.hits[:, 0].astype(np.float64)
        influence: NDArray[np.float64] = (hits - hits.mean()) / len(hits)
        return influence


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `hit_at_1`."""
    return {"hit_at_1": HitAt1}
