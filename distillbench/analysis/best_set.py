"""Which rows of a board may be the best: a set that all truly best rows are in, at 95 %.

The model confidence set (Hansen, Lunde and Nason, Econometrica 79, 2011): as long as equality of
all rows that are left is refuted, the row that is worst for its error leaves. Equality is refuted
by the gap from the mean of all that is largest for its error, on either side: errors of seeds are
skewed, for a bad seed loses more than a good one gains. A row by row comparison with the row that
happened to be best denies some equal row on most large boards; here it does on one board of twenty,
however many rows there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distillbench.analysis.intervals import Floats, Values

_DRAWS = 2000
_LEVEL = 0.05


@dataclass(frozen=True)
class _Errors:
    """How the means of M rows vary together.

    of_videos: (M, M) covariance that the choice of videos gives them, all rows being evaluated on
        the same ones.
    of_seeds: (M,) variance that the choice of seeds adds to each.
    freedom: the degrees of freedom with which the latter is known.
    """

    of_videos: Floats
    of_seeds: Floats
    freedom: float

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Draws what the errors may have been, (count, M)."""
        values, vectors = np.linalg.eigh(self.of_videos)
        root = vectors * np.sqrt(values.clip(0.0))
        videos = generator.standard_normal((count, len(root))) @ root.T
        # What is divided by an estimate follows Student's t; the estimate is one for all rows.
        known = np.sqrt(generator.chisquare(self.freedom, (count, 1)) / self.freedom)
        seeds = generator.standard_normal((count, len(root))) * np.sqrt(self.of_seeds) / known
        drawn: Floats = videos + seeds
        return drawn


def best_set(rows: Sequence[Values], *, higher_is_better: bool = True) -> list[bool]:
    """Tells of each row whether it is in the set; every row needs two seeds and the same videos.

    What seeds add is estimated from all rows together, as if they varied alike: two seeds of one
    row tell next to nothing, two of thirty rows tell enough. Where all rows have the same seeds,
    what a seed does to all of them alike is left out.
    """
    means = np.array([row.mean([]) for row in rows]) * (1.0 if higher_is_better else -1.0)
    errors = _errors(rows)
    drawn = errors.draw(_DRAWS, np.random.default_rng(0))
    left = np.arange(len(rows))
    while len(left) > 1:
        standard_errors = _of_gaps(errors, left)
        seen = _gaps(means[None, left])[0] / standard_errors
        chance = abs(_gaps(drawn[:, left]) / standard_errors).max(1)
        if (chance >= abs(seen).max()).mean() >= _LEVEL:
            break
        left = np.delete(left, seen.argmax())
    found = np.zeros(len(rows), dtype=bool)
    found[left] = True
    return [bool(each) for each in found]


def _gaps(values: Floats) -> Floats:
    """How far each row lies below the mean of all: (N, M) to (N, M)."""
    gaps: Floats = values.mean(1, keepdims=True) - values
    return gaps


def _of_gaps(errors: _Errors, left: np.typing.NDArray[np.intp]) -> Floats:
    """The standard errors of the gaps of the rows that are left."""
    covariance = errors.of_videos[np.ix_(left, left)] + np.diag(errors.of_seeds[left])
    with_mean = covariance.mean(1)
    variance = covariance.mean() - 2 * with_mean + covariance.diagonal()
    # Rows that are equal to the last digit have no error, and no gap either.
    root: Floats = np.sqrt(variance.clip(1e-30))
    return root


def _errors(rows: Sequence[Values]) -> _Errors:
    influence = np.stack([row.mean_influence([]) for row in rows])
    counts = np.array([row.seeds for row in rows])
    # How seeds of one row differ by video is in the variance of seeds, too, and counted there.
    twice = [
        sum(float(((each - mean) ** 2).sum()) for each in row.influence.values())
        / (row.seeds - 1)
        / row.seeds
        for row, mean in zip(rows, influence, strict=True)
    ]
    variance, freedom = _seed_variance(rows)
    return _Errors(influence @ influence.T - np.diag(twice), variance / counts, freedom)


def _seed_variance(rows: Sequence[Values]) -> tuple[float, float]:
    """The variance of a value over seeds, pooled over rows, and its degrees of freedom."""
    seeds = {frozenset(row.value) for row in rows}
    residuals = [
        np.array([row.value[seed] for seed in sorted(row.value)]) - row.mean([]) for row in rows
    ]
    freedom = float(sum(len(each) - 1 for each in residuals))
    if len(seeds) == 1 and len(rows) > 1:
        # A seed that is good for all rows makes no row better than another.
        table = np.stack(residuals)
        residuals = list(table - table.mean(0))
        freedom = float((len(rows) - 1) * (len(next(iter(seeds))) - 1))
    total = sum(float((each**2).sum()) for each in residuals)
    return total / freedom, freedom
