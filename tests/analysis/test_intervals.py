from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from running import installed

from distillbench.analysis.intervals import (
    SeedError,
    Values,
    bootstrap,
    bootstraps,
    difference_error,
    interval,
    resamples,
    seed_error,
)
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.interfaces import Labels, Predictions
from distillbench.metrics.topk import TopK
from resampling import Resampler

METRICS = installed_metrics(installed())


def made(seed: int, knows: float, videos: int = 80, classes: int = 6) -> tuple[Predictions, Labels]:
    drawn = np.random.default_rng(0).random((videos, classes)) < 0.4
    scores = knows * drawn + np.random.default_rng(seed).standard_normal(drawn.shape)
    kept = TopK(classes)
    kept.update(torch.from_numpy(scores.astype(np.float32)), torch.from_numpy(drawn))
    offsets = torch.from_numpy(np.concatenate([[0], drawn.sum(1).cumsum()]))
    labels = Labels(offsets, torch.from_numpy(drawn.nonzero()[1]), classes)
    return kept.predictions([str(v) for v in range(videos)], labels), labels


@pytest.mark.parametrize("metric", ["gap", "map_at_20"])
def test_influence_is_what_leaving_a_video_out_would_change(metric: str) -> None:
    predictions, labels = made(1, 1.0, videos=200)
    weights = np.vstack([1 - np.eye(200, dtype=np.int64), np.ones((1, 200), dtype=np.int64)])
    values = getattr(Resampler(predictions, labels), metric)(weights)
    left_out = values[200] - values[:200]
    influence = METRICS[metric].influence(predictions)
    assert np.corrcoef(left_out, influence)[0, 1] > 0.995
    assert np.linalg.norm(influence) == pytest.approx(np.linalg.norm(left_out), rel=0.05)
    assert abs(influence.sum()) < 1e-9


def values(*made_by_seed: Predictions) -> Values:
    numbered = dict(enumerate(made_by_seed))
    gap = METRICS["gap"]
    return Values(
        {s: gap.compute(p) for s, p in numbered.items()},
        {s: gap.influence(p) for s, p in numbered.items()},
    )


def test_the_interval_is_that_of_metrics_computed_anew_on_resampled_videos() -> None:
    (a, labels), (b, _) = made(1, 1.5, videos=400), made(2, 1.0, videos=400)
    found = bootstrap(values(a), values(b), 1000)
    generator = np.random.default_rng(5)
    weights = np.stack(
        [np.bincount(generator.integers(0, 400, 400), minlength=400) for _ in range(400)]
    )
    anew = Resampler(a, labels).gap(weights) - Resampler(b, labels).gap(weights)
    low, high = np.percentile(anew, [2.5, 97.5])
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.low > 0
    assert found.p < 0.01


def test_resampling_and_adding_up_squares_give_the_same_interval() -> None:
    a, b = (
        values(*(made(seed, knows)[0] for seed in seeds))
        for seeds, knows in (((1, 2, 3), 1.2), ((4, 5, 6), 1.0))
    )
    resampled = bootstrap(a, b, 4000)
    direct = interval(
        resampled.value, a.mean_influence([]) - b.mean_influence([]), difference_error(a, b)
    )
    assert resampled.high - resampled.low == pytest.approx(direct.high - direct.low, rel=0.2)


def test_a_method_does_not_differ_from_itself() -> None:
    a = values(made(1, 1.0)[0])
    found = bootstrap(a, a, 100)
    assert (found.low, found.value, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_every_resample_draws_as_many_videos_as_there_are() -> None:
    drawn = list(resamples(37, 70, np.random.default_rng(0)))
    assert len(drawn) == 70
    assert {d.shape for d in drawn} == {(37,)}
    assert set(np.concatenate(drawn).tolist()) == set(range(37))


def test_the_error_of_one_seed_is_unknown_and_counts_as_none() -> None:
    assert seed_error([0.5], np.zeros((1, 4))) == SeedError(0.0, 0.0)


def test_the_error_of_seeds_is_the_standard_error_of_their_mean() -> None:
    found = seed_error([0.1, 0.2, 0.3], np.zeros((3, 4)))
    assert found.error == pytest.approx(0.1 / np.sqrt(3))
    assert found.freedom == 2


def test_what_videos_move_in_one_seed_alone_is_counted_once() -> None:
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((4, 1000)) * 0.01
    error = seed_error([0.0, 0.1, 0.2, 0.3], rows)
    mean = rows.mean(0)
    assert error.of_videos(mean) == pytest.approx(
        0.0, abs=2e-3
    )  # nothing is common to the seeds here
    assert error.of_videos(mean) < (mean**2).sum()
    shared = np.tile(generator.standard_normal(1000) * 0.01, (4, 1))
    assert seed_error([0.0, 0.1, 0.2, 0.3], shared).of_videos(shared[0]) == pytest.approx(
        (shared[0] ** 2).sum()
    )


def test_a_difference_is_paired_by_seed_where_both_have_it() -> None:
    flat = {s: np.zeros(3) for s in range(3)}
    a, b = Values({0: 0.5, 1: 0.7, 2: 0.9}, flat), Values({0: 0.4, 1: 0.6, 2: 0.8}, flat)
    assert difference_error(a, b).error == pytest.approx(0.0, abs=1e-12)
    apart = Values({7: 0.4, 8: 0.6, 9: 0.8}, {s: np.zeros(3) for s in (7, 8, 9)})
    unpaired = difference_error(a, apart)
    assert unpaired.error == pytest.approx(np.sqrt(2 * 0.04 / 3))
    assert unpaired.freedom == pytest.approx(4.0)


def test_few_seeds_widen_the_interval_as_students_t_does() -> None:
    nothing = np.zeros(3)
    narrow, wide = (
        interval(0.0, nothing, SeedError(1.0, 100)),
        interval(0.0, nothing, SeedError(1.0, 2)),
    )
    assert narrow.high == pytest.approx(1.984, abs=1e-3)
    assert wide.high == pytest.approx(4.303, abs=1e-3)


def test_many_pairs_at_once_are_each_as_one_pair_alone() -> None:
    generator = np.random.default_rng(3)
    methods = [
        Values(
            {seed: float(generator.random()) for seed in seeds},
            {seed: 0.01 * generator.standard_normal(50) for seed in seeds},
        )
        for seeds in ((0, 1, 2), (1, 2), (0,), (7, 8))
    ]
    pairs = [(0, 1), (0, 2), (1, 3), (3, 2), (0, 3)]
    for (a, b), found in zip(pairs, bootstraps(methods, pairs, 300), strict=True):
        alone = bootstrap(methods[a], methods[b], 300)
        assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(alone), abs=1e-12)
