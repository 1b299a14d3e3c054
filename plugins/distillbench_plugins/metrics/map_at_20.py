"""Mean average precision over each video's best 20 predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import LabelKind, Metric, Predictions
from distillbench.metrics import precision_derivatives, precision_sums


class MeanAveragePrecisionAt20(Metric):
    """mAP@20: the average precision of each class among the videos' best 20, averaged.

    As Google's starter code computes it (`mean_average_precision_calculator.py`), over the classes
    that have a positive, the rule since 2019. Ties count as the mean over all their orders.
    """

    title = "mAP@20"
    default_place: ClassVar[Mapping[LabelKind, int]] = {"multi-label": 20}

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where no video has a label."""
        found = _average_precisions(predictions)
        return float(found.mean()) if len(found) else None

    def influence(self, predictions: Predictions) -> NDArray[np.float64] | None:
        """Returns what each video adds per copy of it, to first order: (V,), summing to 0.

        None where it is not known which labels the videos have.
        """
        labels = predictions.labels
        if labels is None:
            return None
        positives = np.maximum(predictions.class_positives, 1).astype(np.float64)
        rows, pairs, classes = precision_derivatives(predictions, by_class=True)
        weights = np.bincount(classes, weights=pairs, minlength=len(positives))
        precisions = weights / positives
        videos = np.repeat(np.arange(len(predictions)), np.diff(labels.offsets.numpy()))
        named = labels.classes.numpy()
        sums = np.bincount(rows, weights=pairs / positives[classes], minlength=len(predictions))
        lost = (precisions / positives)[named]
        sums -= np.bincount(videos, weights=lost, minlength=len(sums))
        present = int((predictions.class_positives > 0).sum())
        influence: NDArray[np.float64] = sums / max(1, present)
        return influence


class MeanAveragePrecisionAt20AllClasses(Metric):
    """mAP@20 with classes that no video has counted as 0, the rule of 2017."""

    title = "mAP@20, empty classes as 0"
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"multi-label"})
    each_epoch = False

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where no video has a label."""
        found = _average_precisions(predictions)
        return float(found.sum() / len(predictions.class_positives)) if len(found) else None


def _average_precisions(predictions: Predictions) -> NDArray[np.float64]:
    """Computes the average precision of every class that some video has."""
    sums, _ = precision_sums(predictions, by_class=True)
    present = predictions.class_positives > 0
    return sums[present] / predictions.class_positives[present]


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `map_at_20` and `map_at_20_all_classes`."""
    return {
        "map_at_20": MeanAveragePrecisionAt20,
        "map_at_20_all_classes": MeanAveragePrecisionAt20AllClasses,
    }
