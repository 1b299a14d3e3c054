"""The YouTube-8M challenge's global average precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import LabelKind, Metric, Predictions
from distillbench.metrics import precision_derivatives, precision_sums


class GlobalAveragePrecision(Metric):
    """GAP@20: the average precision of every video's best 20 predictions, ranked in one list.

    As Google's starter code computes it (`eval_util.py`, `average_precision_calculator.py`): the
    precision at every hit, summed and divided by the number of all labels, whether a video's best
    20 hold them or not. Where Google shuffles ties, they count as the mean over all their orders.
    """

    title = "GAP@20"
    default_place: ClassVar[Mapping[LabelKind, int]] = {"multi-label": 10}

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where no video has a label."""
        total = int(predictions.class_positives.sum())
        if total == 0:
            return None
        sums, _ = precision_sums(predictions, by_class=False)
        return float(sums[0] / total)

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """Returns what each video adds per copy of it, to first order: (V,), summing to 0."""
        total = float(predictions.class_positives.sum())
        rows, pairs, _ = precision_derivatives(predictions, by_class=False)
        sums = np.bincount(rows, weights=pairs, minlength=len(predictions))
        influence: NDArray[np.float64] = (sums - sums.sum() / total * predictions.positives) / total
        return influence


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `gap`."""
    return {"gap": GlobalAveragePrecision}
