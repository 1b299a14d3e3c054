"""How often the right class is among the best predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from distillbench import hookimpl
from distillbench.interfaces import LabelKind, Metric, Predictions


class Top1(Metric):
    """Top-1 accuracy: the share of videos whose best prediction is their class."""

    title = "top-1"
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"single-label"})
    default_place: ClassVar[Mapping[LabelKind, int]] = {"single-label": 10}

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video."""
        return _accuracy(predictions, 1)

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """Returns what each video adds per copy of it: (V,), summing to 0."""
        return _influence(predictions, 1)


class Top5(Metric):
    """Top-5 accuracy: the share of videos whose class is among their best five predictions."""

    title = "top-5"
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"single-label"})
    default_place: ClassVar[Mapping[LabelKind, int]] = {"single-label": 20}

    def compute(self, predictions: Predictions) -> float | None:
        """Returns a number in [0, 1]; None where there is no video."""
        return _accuracy(predictions, 5)

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """Returns what each video adds per copy of it: (V,), summing to 0."""
        return _influence(predictions, 5)


def _accuracy(predictions: Predictions, k: int) -> float | None:
    return float(predictions.hits[:, :k].any(1).mean()) if len(predictions) else None


def _influence(predictions: Predictions, k: int) -> NDArray[np.float64]:
    hits = np.asarray(predictions.hits[:, :k].any(1), dtype=np.float64)
    influence: NDArray[np.float64] = (hits - hits.mean()) / len(hits)
    return influence


@hookimpl
def metrics() -> dict[str, type[Metric]]:
    """Offers `top_1` and `top_5`."""
    return {"top_1": Top1, "top_5": Top5}
