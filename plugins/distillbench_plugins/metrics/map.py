"""Mean average precision over every score of every video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from distillbench import hookimpl
from distillbench.interfaces import LabelKind, Metric, Predictions


class ExactMeanAveragePrecision(Metric):
    """mAP: each class's average precision over all videos, averaged over classes, exact.

    Over the classes that some video has, untruncated, as scikit-learn's `average_precision_score`
    has it: videos with equal scores are one threshold.
    """

    title = "mAP"
    default_place: ClassVar[Mapping[LabelKind, int]] = {"multi-label": 30}
    needs = "all"

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where no video has a label, or scores are missing."""
        if predictions.batches is None or not predictions.class_positives.any():
            return None
        from distillbench.metrics import mean_average_precision  # imports torch, for a second

        return mean_average_precision(predictions.batches, len(predictions.class_positives))


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `map`."""
    return {"map": ExactMeanAveragePrecision}
