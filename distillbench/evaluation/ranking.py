"""GAP@20, mAP@20, Hit@1 and PERR as YouTube-8M defines them, computed from each video's best 20 scores.

The definitions are those of Google's starter code (`eval_util.py`, `average_precision_calculator.py`,
`mean_average_precision_calculator.py`); P is the number of all positives, whether a video's best 20 hold them or not.

Ties. Within a video, of two classes with equal scores the lower class number comes first, as `numpy.argmax` has it.
Between the pairs of a pool (all kept pairs for GAP@20, those of one class for mAP@20), where Google shuffles, equal
scores count as the mean over all orders of the tied pairs (McSherry and Najork, ECIR 2008): no value depends on the
order of the videos or on how they were cut into batches, and no random number is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distillbench.errors import DataError

KEPT = 20
"""How many of a video's best scores are kept."""

SCORE_BITS = 33
"""The lower bits of a rank key: 32 of the score, best first, and the lowest, which is set where the pair is no hit."""


@dataclass(frozen=True)
class RankingMetrics:
    """The ranking metrics of one set of videos, each in [0, 1].

    gap: GAP@20. map_at_20: mean over the classes that have a positive (the rule since 2019), named `mAP@20`;
    map_at_20_all_classes: the same with classes without positive counted as 0 (the rule of 2017). map: mean average
    precision over every video's score, untruncated; None where only a video's best scores are known. hit_at_1, perr:
    means over all videos, those without label counted as 0. ties: pairs of a hit and a miss in the pool of GAP@20 that
    have the same score, so that their order is not decided by the scores.
    """

    gap: float
    map_at_20: float
    map_at_20_all_classes: float
    map: float | None
    hit_at_1: float
    perr: float
    videos: int
    classes: int
    classes_with_positives: int
    ties: int


@dataclass(frozen=True)
class Kept:
    """The best K = min(20, C) scores of V videos and what else the metrics need.

    scores: (V, K) float32, best first; minus infinity where a class was not offered at all. classes: (V, K) integers.
    hits: (V, K) bool. positives: (V,) integers, n_v, the labels of each video. hits_at_positives: (V,) integers, the
    hits among a video's n_v best classes, n_v > K included. class_positives: (C,) int64.
    """

    scores: NDArray[np.float32]
    classes: NDArray[np.signedinteger]
    hits: NDArray[np.bool_]
    positives: NDArray[np.signedinteger]
    hits_at_positives: NDArray[np.signedinteger]
    class_positives: NDArray[np.int64]


def ranking_metrics(kept: Kept, mean_average_precision: float | None = None) -> RankingMetrics:
    """Computes all metrics; the untruncated mAP is taken as given.

    Raises DataError where there is no video, or no video has a label.
    """
    total = int(kept.class_positives.sum())
    if total == 0:
        raise DataError(f"ranking metrics need labels: none of the {len(kept.positives)} videos has any")
    by_class, _ = precision_sums(kept, by_class=True)
    pooled, ties = precision_sums(kept, by_class=False)
    present = kept.class_positives > 0
    average_precisions = by_class[present] / kept.class_positives[present]
    return RankingMetrics(
        gap=float(pooled[0] / total),
        map_at_20=float(average_precisions.mean()),
        map_at_20_all_classes=float(average_precisions.sum() / len(present)),
        map=mean_average_precision,
        hit_at_1=float(kept.hits[:, 0].mean()),
        perr=_precision_at_equal_recall(kept),
        videos=len(kept.positives),
        classes=len(present),
        classes_with_positives=int(present.sum()),
        ties=ties,
    )


def rank_keys(kept: Kept, *, by_class: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Makes the key by which each kept pair is ranked, and says whose it is: (N,) and (N,).

    A key is the class (or 0), then the score, then whether it misses: of equal scores the hits come first. Pairs that
    were not offered are left out.
    """
    offered = np.flatnonzero(kept.scores > -np.inf)
    keys = (_descending(kept.scores) << 1) | ~kept.hits
    if by_class:
        keys |= kept.classes.astype(np.int64) << SCORE_BITS
    return keys.ravel()[offered], offered // kept.scores.shape[1]


def list_starts(keys: NDArray[np.int64], lists: int) -> NDArray[np.int64]:
    """Finds where each list starts among sorted rank keys: (lists,)."""
    return np.searchsorted(keys, np.arange(lists, dtype=np.int64) << SCORE_BITS)


def _descending(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Maps scores to [0, 2^32), the higher the score the lower the number; -0.0 and 0.0 are equal."""
    bits = (scores + np.float32(0.0)).view(np.int32)
    ascending = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return 0x7FFFFFFF - ascending.astype(np.int64)


def precision_sums(kept: Kept, *, by_class: bool) -> tuple[NDArray[np.float64], int]:
    """Sums the precision at every hit of each ranked list, and counts the ties between hits and misses.

    The lists are one for each class, (C,), or all kept pairs in one, (1,).
    """
    keys, _ = rank_keys(kept, by_class=by_class)
    keys.sort()
    lists = len(kept.class_positives) if by_class else 1
    starts = list_starts(keys, lists)
    hits = np.flatnonzero((keys & 1) == 0)
    hits_before = np.searchsorted(hits, starts)
    list_of = keys[hits] >> SCORE_BITS
    precisions = (np.arange(1, len(hits) + 1) - hits_before[list_of]) / (hits + 1 - starts[list_of])
    ties = _average_over_ties(keys, hits, starts, hits_before, precisions)
    return np.bincount(list_of, weights=precisions, minlength=lists).astype(np.float64, copy=False), ties


def _average_over_ties(
    keys: NDArray[np.int64],
    hits: NDArray[np.int64],
    starts: NDArray[np.int64],
    hits_before: NDArray[np.int64],
    precisions: NDArray[np.float64],
) -> int:
    """Replaces the precisions of hits that tie with misses by their mean over all orders; returns the tied pairs.

    Of m tied pairs, h of them hits, the j-th is a hit with probability h / m, and then (j - 1) (h - 1) / (m - 1) of
    those before it are expected to be.
    """
    last_hits = np.flatnonzero((keys[1:] ^ keys[:-1]) == 1)  # within a group of ties the hits come first
    if len(last_hits) == 0:
        return 0
    begin = np.searchsorted(keys, keys[last_hits], side="left")
    size = np.searchsorted(keys, keys[last_hits] | 1, side="right") - begin
    found = last_hits + 1 - begin
    list_of = keys[begin] >> SCORE_BITS
    first_hit = np.searchsorted(hits, begin)
    ranked, hit = begin - starts[list_of], first_hit - hits_before[list_of]

    group, step = _expand(size)
    expected = hit[group] + 1 + step * ((found - 1) / (size - 1))[group]
    sums = np.bincount(group, weights=(found / size)[group] * expected / (ranked[group] + step + 1))
    group, step = _expand(found)
    precisions[first_hit[group] + step] = (sums / found)[group]
    return int((found * (size - found)).sum())


def _expand(sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists the members of groups: the group of each, and its number within the group, from 0."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    return group, np.arange(len(group)) - (sizes.cumsum() - sizes)[group]


def _precision_at_equal_recall(kept: Kept) -> float:
    """Averages hits_at_positives / positives; summed by n_v in integers, so that the videos' order cannot matter."""
    hits = np.bincount(kept.positives, weights=kept.hits_at_positives)
    return float((hits[1:] / np.arange(1, len(hits))).sum() / len(kept.positives))
