"""Precision at equal recall rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import Metric, Predictions


class PrecisionAtEqualRecallRate(Metric):
    """PERR: the share of right ones among as many best predictions as a video has labels.

    As Google's starter code computes it (`eval_util.py`), averaged over videos; one without label
    counts as 0.
    """

    title = "PERR"

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video."""
        if not len(predictions):
            return None
        # Summed by the number of labels, in integers, so that the order of the videos cannot
        # matter.
        hits = np.bincount(predictions.positives, weights=predictions.hits_at_positives)
        return float((hits[1:] / np.arange(1, len(hits))).sum() / len(predictions))

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """Returns what each video adds per copy of it: (V,), summing to 0."""
        shares = predictions.hits_at_positives / np.maximum(predictions.positives, 1)
        influence: NDArray[np.float64] = (shares - shares.mean()) / len(shares)
        return influence


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `perr`."""
    return {"perr": PrecisionAtEqualRecallRate}
