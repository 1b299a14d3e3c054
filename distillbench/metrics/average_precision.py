"""Exact mean average precision over all scores, in bounded memory.

A class's average precision needs, at each of its positives, how many positives and how many videos
score at least as high. So the positives' scores are collected first, a handful a class, and all
scores are counted against them second: block by block, each class's scores of a block sorted and
the positives looked up in them.

Ties: videos with equal scores are one threshold, as in scikit-learn's `average_precision_score`;
the value does not depend on the order of the videos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.errors import DataError
from distillbench.metrics.inputs import Array, positives, reject_nan, unpack
from distillbench.metrics.score_buffer import ScoreBuffer

_BLOCK_NUMBERS = 1 << 25  # scores in a block: 128 MiB
_CLASSES_AT_ONCE = 128  # a strip of a block that is turned and sorted while it is in the cache
_ROWS_AT_ONCE = 256


class MeanAveragePrecision:
    """Accumulates scores and labels of videos for the exact mAP; scores are compared as float32.

    Keeps every score: in memory up to `memory` bytes, in an unnamed temporary file beyond. To keep
    none, walk the batches twice with `mean_average_precision`.
    """

    def __init__(self, classes: int, memory: int = 2 << 30) -> None:
        """classes: C, at least 1.

        memory: bytes of scores that may be in memory.
        """
        self.classes = classes
        self._positives = Positives(classes)
        self._scores = ScoreBuffer(classes, memory)

    def update(self, scores: Array, labels: Array) -> None:
        """Adds a batch: scores (B, C) of any floating type on any device, labels (B, C) of 0 and 1.

        Raises TrainingError where a score is NaN.
        """
        self._scores.append(self._positives.add(scores, labels))

    def merge(self, other: MeanAveragePrecision) -> None:
        """Adds the videos of another accumulator."""
        self._positives.merge(other._positives)
        for block in other._scores.blocks(_rows_of_a_block(self.classes)):
            self._scores.append(block)

    def compute(self) -> float:
        """Averages over the classes that have a positive. Raises DataError where none has."""
        return mean_of(self.average_precisions())

    def average_precisions(self) -> NDArray[np.float64]:
        """Returns each class's average precision (C,), NaN for a class without positives."""
        thresholds = self._positives.thresholds()
        counts = thresholds.count(self._scores.blocks(_rows_of_a_block(self.classes)))
        return thresholds.average_precisions(counts)


def mean_average_precision(
    batches: Callable[[], Iterable[tuple[Array, Array]]], classes: int
) -> float:
    """Computes the exact mAP in two passes over the scores and labels, both (B, C).

    No batch is kept.

    Memory: 12 bytes a positive, and a few strips of a batch. Raises TrainingError where a score is
    NaN, DataError where no video has a label.
    """
    found = Positives(classes)
    for scores, labels in batches():
        found.add(scores, labels)
    thresholds = found.thresholds()
    blocks = (unpack(scores, labels, classes)[0].cpu().numpy() for scores, labels in batches())
    return mean_of(
        thresholds.average_precisions(thresholds.count(_split(blocks, _rows_of_a_block(classes))))
    )


def mean_of(average_precisions: NDArray[np.float64]) -> float:
    """Averages over the classes that have a positive. Raises DataError where none has."""
    if np.isnan(average_precisions).all():
        raise DataError("mean average precision needs labels: none of the videos has any")
    return float(np.nanmean(average_precisions))


class Positives:
    """Collects the scores that the videos of each class got for it."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._videos = 0
        self._of: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._scores: list[NDArray[np.float32]] = [np.empty(0, np.float32)]

    def add(self, scores: Array, labels: Array) -> NDArray[np.float32]:
        """Adds a batch and returns its scores (B, C) on the CPU.

        Raises TrainingError where one is NaN.
        """
        scores, labels = unpack(scores, labels, self.classes)
        reject_nan(scores, self._videos)
        rows, classes = positives(labels)
        numbers: NDArray[np.float32] = scores.cpu().numpy()
        self._videos += len(numbers)
        self._of.append(classes)
        self._scores.append(numbers[rows, classes])
        return numbers

    def merge(self, other: Positives) -> None:
        """Adds another's positives."""
        self._videos += other._videos
        self._of.extend(other._of)
        self._scores.extend(other._scores)

    def thresholds(self) -> Thresholds:
        """Orders what was collected by class and score."""
        of, scores = np.concatenate(self._of), np.concatenate(self._scores)
        order = np.lexsort((scores, of))
        return Thresholds(scores[order], np.searchsorted(of[order], np.arange(self.classes + 1)))


class Thresholds:
    """The positives' scores, by class and ascending.

    Class c has `scores[offsets[c] : offsets[c + 1]]`.

    Several processes get one exact mAP by counting against the thresholds of all and adding their
    counts.
    """

    def __init__(self, scores: NDArray[np.float32], offsets: NDArray[np.int64]) -> None:
        self.scores = scores
        self.offsets = offsets

    def count(self, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.int64]:
        """Counts the videos that score at least each threshold in its class.

        (L,), of blocks (B, C).
        """
        counts = np.zeros(len(self.scores), dtype=np.int64)
        strips = range(0, len(self.offsets) - 1, _CLASSES_AT_ONCE)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for block in blocks:
                for _ in pool.map(
                    lambda first, block=block: self._count_strip(first, block, counts), strips
                ):
                    pass
        return counts

    def _count_strip(
        self, first: int, block: NDArray[np.float32], counts: NDArray[np.int64]
    ) -> None:
        ascending = _turned(block[:, first : first + _CLASSES_AT_ONCE])
        ascending.sort(axis=1)
        bounds = self.offsets[first : first + len(ascending) + 1].tolist()
        for scores, begin, end in zip(ascending, bounds, bounds[1:], strict=False):
            if begin < end:
                counts[begin:end] += len(scores) - scores.searchsorted(self.scores[begin:end])

    def average_precisions(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns each class's average precision (C,), NaN for a class without positives."""
        result = np.full(len(self.offsets) - 1, np.nan)
        for of, (begin, end) in enumerate(zip(self.offsets, self.offsets[1:], strict=False)):
            if begin < end:
                scores = self.scores[begin:end]
                hits = len(scores) - scores.searchsorted(scores)
                result[of] = (hits / counts[begin:end]).mean()
        return result


def _turned(strip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transposes (B, c) to a contiguous (c, B), tile by tile.

    In one piece the cache would miss at every number.
    """
    turned = np.empty(strip.shape[::-1], dtype=np.float32)
    for start in range(0, len(strip), _ROWS_AT_ONCE):
        turned[:, start : start + _ROWS_AT_ONCE] = strip[start : start + _ROWS_AT_ONCE].T
    return turned


def _rows_of_a_block(classes: int) -> int:
    return max(1, _BLOCK_NUMBERS // classes)


def _split(arrays: Iterable[NDArray[np.float32]], rows: int) -> Iterator[NDArray[np.float32]]:
    for array in arrays:
        for start in range(0, len(array), rows):
            yield array[start : start + rows]
