"""How far a number would move with other test videos and other seeds.

Videos: by each video's influence on the metric, its first-order effect (the infinitesimal
jackknife), which takes one pass. The leaderboard adds up its squares, `compare` resamples it. Seeds
are few, so they are not resampled: three of them, drawn with replacement, are all alike once in
nine draws. Their error follows Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distillbench.interfaces import Difference, Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    low, high: the 95 % confidence interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Values:
    """A metric of one method by seed, and how each seed's value moves with the videos.

    `seed_error` says what the influences are for.

    influence: of each video (V,), or where a metric has none, `replicates` (R,): squared and
    summed, both are the variance that the choice of videos gives a value, and those of two methods
    may be subtracted.
    """

    value: Mapping[int, float]
    influence: Mapping[int, Floats]

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self.value)

    def mean(self, seeds: Sequence[int]) -> float:
        """Averages the metric over seeds, all of them if none are given."""
        return float(np.mean([self.value[seed] for seed in seeds or self.value]))

    def mean_influence(self, seeds: Sequence[int]) -> Floats:
        """Averages the influences over seeds, all of them if none are given."""
        mean: Floats = np.mean([self.influence[seed] for seed in seeds or self.influence], axis=0)
        return mean


# -------------------------------------------------------------------------------------------- seeds


@dataclass(frozen=True)
class SeedError:
    """The standard error that comes from seeds, and its degrees of freedom.

    0 and 0 where there is one seed alone.

    shared: the part of its square that is in the variance which the choice of videos gives the
    mean, too.
    """

    error: float
    freedom: float
    shared: float = 0.0

    def of_videos(self, influence: Floats) -> float:
        """Returns what the choice of videos alone adds to the variance of a mean.

        Influence (N,) is the mean's.
        """
        return max(0.0, float((influence**2).sum()) - self.shared)

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Draws errors (count,) from Student's t.

        Zeros where there is one seed, which tells nothing about others.
        """
        if self.freedom <= 0 or self.error == 0:
            return np.zeros(count)
        drawn: Floats = self.error * generator.standard_t(self.freedom, count)
        return drawn


def seed_error(values: Sequence[float], influence: Floats) -> SeedError:
    """Estimates what seeds add to the error of a mean over seeds.

    influence: (S, N), each seed's row, squared and summed, being the variance that the choice of
    videos gives its value. Where rows differ, a video moves one seed's value and not another's,
    which makes the values differ as other seeds
    would: that part is counted here and taken off there (the two-way random-effects model).
    """
    count = len(values)
    if count < 2:
        return SeedError(0.0, 0.0)
    shared = float(((influence - influence.mean(0)) ** 2).sum()) / (count - 1) / count
    return SeedError(float(np.std(values, ddof=1)) / math.sqrt(count), count - 1, shared)


def difference_error(a: Values, b: Values) -> SeedError:
    """Estimates what seeds add to the error of a difference of means.

    Paired where both have a seed, else Welch's.
    """
    common = in_common(a, b)
    if common:
        influence = np.stack([a.influence[seed] - b.influence[seed] for seed in common])
        return seed_error([a.value[seed] - b.value[seed] for seed in common], influence)
    errors = [
        seed_error(list(v.value.values()), np.stack(list(v.influence.values()))) for v in (a, b)
    ]
    squares = [(e.error**2, e.freedom) for e in errors if e.freedom > 0]
    total = sum(square for square, _ in squares)
    spread = sum(square**2 / freedom for square, freedom in squares)
    return SeedError(
        math.sqrt(total), total**2 / spread if spread else 0.0, sum(e.shared for e in errors)
    )


def in_common(a: Values, b: Values) -> list[int]:
    """Lists the seeds that both have."""
    return sorted(a.value.keys() & b.value.keys())


# ------------------------------------------------------------------------------------ by resampling


def bootstrap(a: Values, b: Values, count: int = 2000, seed: int = 0) -> Difference:
    """Bootstraps the difference of two methods' means over seeds.

    The same videos in the same order.

    What is resampled is each video's influence, so that a resample costs one sum and 100,000 videos
    take seconds; `benchmarks/study/coverage.py` measures how often the interval holds the truth.
    The interval is the 2.5th to the 97.5th percentile of the difference plus the moves of the
    resampled videos, which vary by `SeedError.of_videos`, plus draws of the seeds' error.
    """
    generator = np.random.default_rng(seed)
    common = in_common(a, b)
    influence = a.mean_influence(common) - b.mean_influence(common)
    moves = [influence[drawn].sum() for drawn in resamples(len(influence), count, generator)]
    return _difference(a, b, influence, np.array(moves), generator)


def bootstraps(
    methods: Sequence[Values],
    pairs: Iterable[tuple[int, int]],
    count: int = 2000,
    seed: int = 0,
) -> Iterator[Difference]:
    """Bootstraps the differences of many pairs of methods, each as `bootstrap` does.

    The resamples are the same for all pairs, so that each run is moved by them once: a board's
    thousands of pairs take seconds.

    pairs: numbers of two methods each, A and B.
    """
    generator = np.random.default_rng(seed)
    influence = np.stack([row for method in methods for row in method.influence.values()])
    videos = influence.shape[1]
    moved = np.stack(
        [
            influence @ np.bincount(drawn, minlength=videos)
            for drawn in resamples(videos, count, generator)
        ],
        axis=1,
    )
    rows, drawing = iter(moved), np.random.default_rng()
    state = generator.bit_generator.state
    moves = [{seed: next(rows) for seed in method.influence} for method in methods]
    for first, second in pairs:
        a, b = methods[first], methods[second]
        common = in_common(a, b)
        moved_a, moved_b = (
            np.mean([moves[place][each] for each in common or moves[place]], axis=0)
            for place in (first, second)
        )
        drawing.bit_generator.state = state  # every pair draws as if it were the only one
        influence = a.mean_influence(common) - b.mean_influence(common)
        yield _difference(a, b, influence, moved_a - moved_b, drawing)


def _difference(
    a: Values, b: Values, influence: Floats, moves: Floats, generator: np.random.Generator
) -> Difference:
    """Makes a difference of how far resampled videos move it.

    influence: (V,) of the difference. moves: (R,), one a resample; the generator draws as many
    errors of seeds.
    """
    common, error = in_common(a, b), difference_error(a, b)
    difference = a.mean(common) - b.mean(common)
    whole = float((influence**2).sum())
    scale = math.sqrt(error.of_videos(influence) / whole) if whole else 0.0
    moved = difference + scale * moves + error.draw(len(moves), generator)
    low, high = np.percentile(moved, [2.5, 97.5])
    beyond = min(int((moved <= 0).sum()), int((moved >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(moves) + 1))
    return Difference(
        difference, float(low), float(high), a.mean(common), b.mean(common), p, len(common)
    )


def resamples(
    videos: int, count: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int32]]:
    """Draws as many videos as there are, with replacement, `count` times.

    (V,) numbers of videos.
    """
    for _ in range(count):
        yield generator.integers(0, videos, videos, dtype=np.int32)


_REPLICATES = 400


def replicates(
    compute: Callable[[Predictions], float | None], predictions: Predictions
) -> Floats | None:
    """Returns how far a metric moves on each of so many sets of resampled videos: (R,).

    The sets are the same for all predictions of as many videos. Divided by the root of their number
    less one, the moves squared and summed are the bootstrap's variance. None where the metric is
    not defined on some set.
    """
    found = []
    for videos in resamples(len(predictions), _REPLICATES, np.random.default_rng(0)):
        value = compute(predictions.take(videos))
        if value is None or not math.isfinite(value):
            return None
        found.append(float(value))
    moves: Floats = (np.array(found) - np.mean(found)) / math.sqrt(len(found) - 1)
    return moves


def interval(value: float, influence: Floats, seeds: SeedError) -> Estimate:
    """Gives a mean over seeds its interval: influence (V,) is the mean over the same seeds."""
    half = _half_width(influence, seeds)
    return Estimate(value, value - half, value + half)


def _half_width(influence: Floats, seeds: SeedError) -> float:
    """Adds the videos' and the seeds' variance; the degrees of freedom are Satterthwaite's."""
    total = seeds.of_videos(influence) + seeds.error**2
    freedom = (
        total**2 / (seeds.error**4 / seeds.freedom) if seeds.error and seeds.freedom else math.inf
    )
    if math.isinf(freedom):
        return 1.959964 * math.sqrt(total)
    from scipy.special import stdtrit  # takes a tenth of a second

    return float(stdtrit(freedom, 0.975)) * math.sqrt(total)
