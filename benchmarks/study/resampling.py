"""GAP@20 and mAP@20 of resampled videos: what a bootstrap over videos asks a thousand times."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from distillbench.interfaces import BEST, Labels, Predictions
from distillbench.metrics.ranking import SCORE_BITS, list_starts, rank_keys


class Resampler:
    """Computes the metrics of V videos of which each is there any number of times.

    The pairs are ranked once; a resample then costs two running sums over them. The value is what the metric gives on
    a set in which the videos are really repeated, with its rule for ties: copies of a video tie with one another.
    """

    def __init__(self, predictions: Predictions, labels: Labels | None = None) -> None:
        """labels: of the same V videos in the same order; mAP@20 needs them for the positives that were not kept."""
        self._positives = predictions.positives.astype(np.float64)
        self._pool = _ranked(predictions, by_class=False)
        self._by_class = None if labels is None else _ranked(predictions, by_class=True)
        self._labels = labels

    def gap(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns GAP@20 of each resample (R,): weights (R, V) are how often each video is there.

        NaN where no video of a resample has a label.
        """

        def one(row: NDArray[np.integer], harmonic: NDArray[np.float64]) -> float:
            total = row.astype(np.float64) @ self._positives  # of two floating types, or no BLAS
            return (
                float(self._pool.precision_sums(row, harmonic)[0] / total)
                if total
                else float("nan")
            )

        return self._each(one, weights)

    def map_at_20(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns mAP@20 of each resample (R,), over the classes that have a positive in it: weights (R, V).

        Raises ValueError where no labels were given.
        """
        if self._labels is None or self._by_class is None:
            raise ValueError(
                "mAP@20 of a resample needs the labels of all videos: Resampler(predictions, labels)"
            )
        lists, classes = self._by_class, self._labels.classes.numpy()
        videos = np.repeat(np.arange(len(self._positives)), np.diff(self._labels.offsets.numpy()))

        def one(row: NDArray[np.integer], harmonic: NDArray[np.float64]) -> float:
            totals = np.bincount(classes, weights=row[videos], minlength=len(lists.starts))
            present = totals > 0
            precisions = lists.precision_sums(row, harmonic)[present] / totals[present]
            return float(precisions.mean()) if len(precisions) else float("nan")

        return self._each(one, weights)

    def _each(
        self,
        one: Callable[[NDArray[np.integer], NDArray[np.float64]], float],
        weights: NDArray[np.integer],
    ) -> NDArray[np.float64]:
        if weights.ndim != 2 or weights.shape[1] != len(self._positives):
            raise ValueError(f"weights {weights.shape} must be (resamples, {len(self._positives)})")
        largest = int(weights.sum(axis=1).max(initial=0)) * BEST
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, largest + 1))])
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return np.array(list(pool.map(lambda row: one(row, harmonic), weights)))


@dataclass(frozen=True)
class _Ranked:
    """Ranked lists of pairs, joined, and in them the groups of equal scores that hold a hit.

    rows: (N,) the video of each pair. hit_rows: the same for hits alone. begins, ends: (G,) a group's bounds among
    pairs; hit_begins, hit_ends: among hits. list_of: (G,) a group's list. mixed: numbers of the groups that hold misses
    as well. starts, hit_starts: (L,) where lists start.
    """

    rows: NDArray[np.int64]
    hit_rows: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    hit_begins: NDArray[np.int64]
    hit_ends: NDArray[np.int64]
    list_of: NDArray[np.int64]
    mixed: NDArray[np.int64]
    starts: NDArray[np.int64]
    hit_starts: NDArray[np.int64]

    def precision_sums(
        self, weights: NDArray[np.integer], harmonic: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sums the precision at every hit of each list (L,); harmonic: 1 + 1/2 + ... + 1/n for n = 0, 1, ....

        For a group of m pairs, h of them hits, after n pairs with p hits, the mean over all orders of the sum of
        precisions is h / m times the sum over j = 1..m of (p + 1 + (j - 1) s) / (n + j), s = (h - 1) / (m - 1). Without
        misses s is 1.
        """
        ranked, found = _running(weights[self.rows]), _running(weights[self.hit_rows])
        begins, hit_begins = ranked[self.begins], found[self.hit_begins]
        size = ranked[self.ends] - begins
        before = begins - ranked[self.starts][self.list_of]
        hits_before = hit_begins - found[self.hit_starts][self.list_of]
        steps = harmonic[before + size] - harmonic[before]
        sums = (hits_before - before) * steps + size
        if len(mixed := self.mixed):
            hits, size = (found[self.hit_ends] - hit_begins)[mixed], size[mixed]
            slope = np.where(size == 1, 1.0, (hits - 1) / np.maximum(size - 1, 1))
            scale = (hits_before[mixed] + 1 - slope * (before[mixed] + 1)) * steps[mixed]
            sums[mixed] = hits / np.maximum(size, 1) * (scale + slope * size)
        return np.bincount(self.list_of, weights=sums, minlength=len(self.starts)).astype(
            np.float64, copy=False
        )


def _ranked(kept: Predictions, *, by_class: bool) -> _Ranked:
    keys, rows = rank_keys(kept, by_class=by_class)
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    changes = np.concatenate([[0], np.flatnonzero(np.diff(keys >> 1)) + 1, [len(keys)]]).astype(
        np.int64
    )
    begins, ends = changes[:-1], changes[1:]
    with_hit = (keys[begins] & 1) == 0 if len(keys) else np.zeros(1, dtype=bool)
    begins, ends = begins[with_hit], ends[with_hit]
    hits = np.flatnonzero((keys & 1) == 0)
    starts = list_starts(keys, len(kept.class_positives) if by_class else 1)
    hit_begins, hit_ends = np.searchsorted(hits, begins), np.searchsorted(hits, ends)
    return _Ranked(
        rows=rows,
        hit_rows=rows[hits],
        begins=begins,
        ends=ends,
        hit_begins=hit_begins,
        hit_ends=hit_ends,
        mixed=np.flatnonzero(ends - begins > hit_ends - hit_begins),
        list_of=keys[begins] >> SCORE_BITS,
        starts=starts,
        hit_starts=np.searchsorted(hits, starts),
    )


def _running(values: NDArray[np.integer]) -> NDArray[np.int32]:
    """Sums the values before each place, and all of them: (N + 1,)."""
    sums = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(values, dtype=np.int32, out=sums[1:])
    return sums
