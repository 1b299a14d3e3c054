"""How good predictions are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from distillbench.interfaces.datasets import LabelKind, Labels

BEST = 20
"""How many of a video's best scores are kept."""

Batches = Callable[[], Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]]
"""A walk over all videos in order: scores (B, C) and labels (B, C), batch by batch."""

MetricNeeds = Literal["best", "all"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network predicted of V videos: the best K = min(20, C) scores of each, and its labels.

    Scores are logits: the higher, the more likely. Of single-label data the probabilities are the
    softmax of a video's scores of all classes, of multi-label data the sigmoid of each.

    ids: (V) strings, unique.
    scores: (V, K) float32, best first, equal scores by class; minus infinity where a class was not
    offered at all.
    classes: (V, K) integers; -1 where not offered.
    hits: (V, K) bool, which of these are right.
    positives: (V,) integers, n_v, the labels of each video, predicted or not.
    hits_at_positives: (V,) integers, the hits among a video's n_v best classes, n_v > K included.
    class_positives: (C,) int64, the videos that have each label.
    labels: of the videos, in their order; None where they are not known.
    batches: walks over every score, for a metric that needs all; None where they are not kept.
    """

    ids: tuple[str, ...]
    scores: NDArray[np.float32]
    classes: NDArray[np.signedinteger]
    hits: NDArray[np.bool_]
    positives: NDArray[np.signedinteger]
    hits_at_positives: NDArray[np.signedinteger]
    class_positives: NDArray[np.int64]
    labels: Labels | None = None
    batches: Batches | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the names are not as many as the videos."""
        if len(self.ids) != len(self.positives):
            raise ValueError(f"{len(self.ids)} ids for {len(self.positives)} videos")

    def __len__(self) -> int:
        """Counts the videos."""
        return len(self.ids)

    def take(self, videos: NDArray[np.integer]) -> Predictions:
        """Returns the predictions of these videos, each as often as it is named, without `batches`.

        Raises ValueError where the labels are not known.
        """
        if self.labels is None:
            raise ValueError("some of the videos can be taken only where the labels are known")
        import torch  # takes a second, and few metrics need it

        labels = self.labels.take(torch.from_numpy(np.asarray(videos, dtype=np.int64)))
        return Predictions(
            tuple(self.ids[video] for video in videos),
            self.scores[videos],
            self.classes[videos],
            self.hits[videos],
            self.positives[videos],
            self.hits_at_positives[videos],
            labels.positives().numpy(),
            labels,
        )


class Metric(ABC):
    """One number that says how good predictions are. `__init__(self, *, knobs)`.

    Results and the leaderboard call it by the name under which it is offered; rows must be
    comparable, so they hold what it computes with its knobs' defaults.

    title: what tables call it.
    higher_is_better: False for an error.
    label_kinds: the data it is computed for.
    default_place: by label kind, its place among the metrics that data is judged by where a data
    set names none, the lowest first; those of distillbench come before those of others, so that
    installing a plugin never changes how epochs are chosen. Other metrics are computed for every
    result as well, and are in the leaderboard's CSV and JSON.
    needs: `all` for a metric that walks `predictions.batches`; it is computed on the test split.
    each_epoch: False for a metric of `best` scores that is computed on the test split alone, too.
    """

    title: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"multi-label", "single-label"})
    default_place: ClassVar[Mapping[LabelKind, int]] = {}
    needs: ClassVar[MetricNeeds] = "best"
    each_epoch: ClassVar[bool] = True

    @abstractmethod
    def compute(self, predictions: Predictions) -> float | None:
        """Returns the metric; None where it is not defined, such as without any label."""

    def influence(self, predictions: Predictions) -> NDArray[np.float64] | None:
        """Returns what each video adds to the metric per copy of it, to first order: (V,).

        That is the derivative of the metric by the video's weight, so that it sums to 0. Intervals
        are made of it; where it is None, of resampled videos.
        """
        return None
