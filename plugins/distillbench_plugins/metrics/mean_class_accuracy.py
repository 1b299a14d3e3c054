"""Accuracy in which every class counts the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import LabelKind, Metric, Predictions


class MeanClassAccuracy(Metric):
    """Mean class accuracy: top-1 accuracy of the videos of each class, averaged over classes.

    Over the classes that some video has, so that frequent classes weigh no more than rare ones.
    """

    title = "class accuracy"
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"single-label"})
    default_place: ClassVar[Mapping[LabelKind, int]] = {"single-label": 30}

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where no video has a label."""
        present = predictions.class_positives > 0
        return float(_accuracies(predictions)[present].mean()) if present.any() else None

    def influence(self, predictions: Predictions) -> NDArray[np.float64] | None:
        """Returns what each video adds per copy of it, to first order: (V,), summing to 0.

        None where it is not known which class a video has.
        """
        labels = predictions.labels
        if labels is None:
            return None
        videos = np.repeat(np.arange(len(predictions)), np.diff(labels.offsets.numpy()))
        of = labels.classes.numpy()
        right = predictions.classes[videos, 0] == of
        present = int((predictions.class_positives > 0).sum())
        moves = (right - _accuracies(predictions)[of]) / predictions.class_positives[of] / present
        sums = np.bincount(videos, weights=moves, minlength=len(predictions))
        return sums.astype(np.float64, copy=False)


def _accuracies(predictions: Predictions) -> NDArray[np.float64]:
    """Computes the accuracy of each class (C,), 0 where no video has it."""
    right = predictions.classes[predictions.hits[:, 0], 0]
    counts = np.bincount(right, minlength=len(predictions.class_positives))
    return counts / np.maximum(predictions.class_positives, 1)


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `mean_class_accuracy`."""
    return {"mean_class_accuracy": MeanClassAccuracy}
