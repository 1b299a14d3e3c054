"""GAP@20, mAP@20, Hit@1 and PERR as their definitions read, in plain Python: for a handful of videos.

Ties in a pool are tried out in every order, so a group of tied pairs must be small.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, permutations
from math import inf

Pair = tuple[float, bool]


def best(scores: Sequence[float], count: int) -> list[int]:
    """The classes of the `count` best scores; of equal ones the lower class first."""
    return sorted(
        (c for c in range(len(scores)) if scores[c] > -inf), key=lambda c: (-scores[c], c)
    )[:count]


def average_precision(pool: Sequence[Pair], positives: int) -> float:
    """Sum of the precision at each hit over the number of positives, averaged over all orders of tied pairs."""
    total, ranked, hits = 0.0, 0, 0
    for _, group in groupby(sorted(pool, key=lambda pair: -pair[0]), key=lambda pair: pair[0]):
        tied = [hit for _, hit in group]
        orders = set(permutations(tied))
        total += sum(_precisions(order, ranked, hits) for order in orders) / len(orders)
        ranked, hits = ranked + len(tied), hits + sum(tied)
    return total / positives


def _precisions(order: Sequence[bool], ranked: int, hits: int) -> float:
    total = 0.0
    for place, hit in enumerate(order, start=ranked + 1):
        hits += hit
        total += hits / place if hit else 0.0
    return total


def slow_metrics(
    scores: Sequence[Sequence[float]], labels: Sequence[Sequence[bool]]
) -> dict[str, float]:
    """All metrics of a matrix of scores and one of labels."""
    classes = len(scores[0])
    kept = [(v, c) for v, row in enumerate(scores) for c in best(row, 20)]
    pool = [(scores[v][c], labels[v][c]) for v, c in kept]
    by_class = [[(scores[v][c], labels[v][c]) for v, c in kept if c == of] for of in range(classes)]
    positives = [sum(row[c] for row in labels) for c in range(classes)]
    aps = [average_precision(by_class[c], positives[c]) for c in range(classes) if positives[c]]
    perr = [
        sum(truth[c] for c in best(row, sum(truth))) / sum(truth) if any(truth) else 0.0
        for row, truth in zip(scores, labels, strict=True)
    ]
    return {
        "gap": average_precision(pool, sum(positives)),
        "map_at_20": sum(aps) / len(aps),
        "map_at_20_all_classes": sum(aps) / classes,
        "hit_at_1": sum(any(labels[v][c] for c in best(row, 1)) for v, row in enumerate(scores))
        / len(scores),
        "perr": sum(perr) / len(perr),
        "ties": sum(a == b and hit and not other for a, hit in pool for b, other in pool),
    }
