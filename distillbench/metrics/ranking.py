"""Ranked lists of predictions: the precision at every hit, and how it moves with each video.

Ties. Within a video, of two classes with equal scores the lower class number comes first, as
`numpy.argmax` has it. Between the pairs of a list (all kept pairs, or those of one class) equal
scores count as the mean over all orders of the tied pairs (McSherry and Najork, ECIR 2008): no
value depends on the order of the videos or on how they were cut into batches, and no random number
is drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distillbench.interfaces import Predictions

SCORE_BITS = 33
"""The lower bits of a rank key.

32 of the score, best first, and the lowest, which is set where the pair is not a hit.
"""


COUNTS = ("videos", "classes", "classes_with_positives", "ties")
"""Numbers of a result's test split beside the metrics."""


def counts_of(predictions: Predictions) -> dict[str, int]:
    """Counts videos, classes, classes that some video has, and tied pairs.

    Tied pairs are pairs of a hit and a miss among all kept pairs that have the same score, so that
    their order is not decided by the scores.
    """
    _, ties = precision_sums(predictions, by_class=False)
    present = int((predictions.class_positives > 0).sum())
    counted = (len(predictions), len(predictions.class_positives), present, ties)
    return dict(zip(COUNTS, counted, strict=True))


def rank_keys(
    predictions: Predictions, *, by_class: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Makes the key by which each kept pair is ranked, and its video: (N,) and (N,).

    A key is the class (or 0), then the score, then whether it misses: of equal scores the hits come
    first. Pairs that were not offered are left out.
    """
    offered = np.flatnonzero(predictions.scores > -np.inf)
    keys = (_descending(predictions.scores) << 1) | ~predictions.hits
    if by_class:
        keys |= predictions.classes.astype(np.int64) << SCORE_BITS
    return keys.ravel()[offered], offered // predictions.scores.shape[1]


def list_starts(keys: NDArray[np.int64], lists: int) -> NDArray[np.int64]:
    """Finds where each list starts among sorted rank keys: (lists,)."""
    return np.searchsorted(keys, np.arange(lists, dtype=np.int64) << SCORE_BITS)


def _descending(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Maps scores to [0, 2^32), the higher the score the lower the number.

    -0.0 and 0.0 are equal.
    """
    bits = (scores + np.float32(0.0)).view(np.int32)
    ascending = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return 0x7FFFFFFF - ascending.astype(np.int64)


def precision_sums(predictions: Predictions, *, by_class: bool) -> tuple[NDArray[np.float64], int]:
    """Sums the precision at every hit of each ranked list, and counts ties.

    A tie is a hit and a miss with equal scores.

    The lists are one for each class, (C,), or all kept pairs in one, (1,).
    """
    keys, _ = rank_keys(predictions, by_class=by_class)
    keys.sort()
    lists = len(predictions.class_positives) if by_class else 1
    starts = list_starts(keys, lists)
    hits = np.flatnonzero((keys & 1) == 0)
    hits_before = np.searchsorted(hits, starts)
    list_of = keys[hits] >> SCORE_BITS
    precisions = (np.arange(1, len(hits) + 1) - hits_before[list_of]) / (hits + 1 - starts[list_of])
    ties = _average_over_ties(keys, hits, starts, hits_before, precisions)
    return (
        np.bincount(list_of, weights=precisions, minlength=lists).astype(np.float64, copy=False),
        ties,
    )


def _average_over_ties(
    keys: NDArray[np.int64],
    hits: NDArray[np.int64],
    starts: NDArray[np.int64],
    hits_before: NDArray[np.int64],
    precisions: NDArray[np.float64],
) -> int:
    """Replaces the precisions of hits that tie with misses by their mean over all orders.

    Returns the tied pairs.

    Of m tied pairs, h of them hits, the j-th is a hit with probability h / m, and then (j - 1) (h -
    1) / (m - 1) of those before it are expected to be.
    """
    # Within a group of ties the hits come first.
    last_hits = np.flatnonzero((keys[1:] ^ keys[:-1]) == 1)
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


def precision_derivatives(
    predictions: Predictions, *, by_class: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Derives each list's sum of precisions by the weight of each pair.

    Returns the pair's video, the derivative and its list. The sum over hits i of w_i H_i / N_i,
    where H_i and N_i add up the weights of hits and of pairs up to i, moves with the weight of pair
    j by x_j H_j / N_j + sum over hits i from j on of (x_j / N_i - H_i / N_i^2), x_j being 1 for a
    hit.
    """
    keys, rows = rank_keys(predictions, by_class=by_class)
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    lists = len(predictions.class_positives) if by_class else 1
    starts = np.append(list_starts(keys, lists), len(keys))
    of = (keys >> SCORE_BITS).astype(np.int64)
    hit = (keys & 1) == 0
    ranks = np.arange(1, len(keys) + 1) - starts[of]
    running = np.append(0, np.cumsum(hit))
    hits = running[1:] - running[starts[of]]
    inverse, square = (
        np.append(0.0, np.cumsum(np.where(hit, v, 0.0))) for v in (1 / ranks, hits / ranks**2)
    )
    ends = starts[of + 1]
    later, later_square = inverse[ends] - inverse[:-1], square[ends] - square[:-1]
    return rows, np.where(hit, hits / ranks + later, 0.0) - later_square, of
