"""Whether a network is as often right as it is sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import LabelKind, Metric, Predictions


class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from accuracy, averaged over videos.

    Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3. A video's
    confidence is the largest of its probabilities, the softmax of its scores; videos are put into
    bins of equal width, a bin's upper bound within it, and each bin counts by its number of videos.

    Knobs:
        bins: how many there are from 0 to 1.
    """

    title = "calibration error"
    higher_is_better = False
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"single-label"})
    default_place: ClassVar[Mapping[LabelKind, int]] = {"single-label": 40}
    needs = "all"

    def __init__(self, *, bins: int = 15) -> None:
        if bins < 1:
            raise ConfigError([f"metric calibration_error: bins={bins} is not at least 1"])
        self.bins = bins

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video, or scores are missing."""
        if predictions.batches is None or not len(predictions):
            return None
        confidence, right = np.zeros(self.bins), np.zeros(self.bins)
        for scores, labels in predictions.batches():
            best = scores.argmax(1)
            exponents = scores.astype(np.float64)
            exponents -= exponents.max(1, keepdims=True)
            sure = 1.0 / np.exp(exponents, out=exponents).sum(1)
            place = np.clip(np.ceil(sure * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
            hits = labels[np.arange(len(best)), best]
            confidence += np.bincount(place, weights=sure, minlength=self.bins)
            right += np.bincount(place, weights=hits, minlength=self.bins)
        return float(np.abs(confidence - right).sum() / len(predictions))


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `calibration_error`."""
    return {"calibration_error": CalibrationError}
