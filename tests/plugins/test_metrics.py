"""Metrics of single-label data are what their definitions say, computed here in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from running import metrics

from distillbench.errors import ConfigError
from distillbench.interfaces import Labels, Predictions
from distillbench.metrics import TopK
from measuring import measured


def predictions(scores: NDArray[np.float32], classes: NDArray[np.int64]) -> Predictions:
    truth = np.arange(scores.shape[1]) == classes[:, None]
    kept = TopK(scores.shape[1])
    kept.update(scores, truth)
    labels = Labels(torch.arange(len(scores) + 1), torch.from_numpy(classes), scores.shape[1])
    halves = np.array_split(np.arange(len(scores)), 2)
    ids = [str(video) for video in range(len(scores))]
    return kept.predictions(ids, labels, lambda: iter([(scores[h], truth[h]) for h in halves]))


def drawn(seed: int, videos: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    of = generator.integers(0, classes, videos)
    scores = generator.standard_normal((videos, classes)) * 2 + 2 * (
        np.arange(classes) == of[:, None]
    )
    return scores.astype(np.float32), of


def top(scores: NDArray[np.float32], of: NDArray[np.int64], k: int) -> float:
    ranks = [
        list(np.argsort(-row, kind="stable")).index(c) for row, c in zip(scores, of, strict=True)
    ]
    return float(np.mean([rank < k for rank in ranks]))


def class_accuracy(scores: NDArray[np.float32], of: NDArray[np.int64]) -> float:
    right = scores.argmax(1) == of
    return float(np.mean([right[of == c].mean() for c in np.unique(of)]))


def calibration(scores: NDArray[np.float32], of: NDArray[np.int64], bins: int = 15) -> float:
    exponentials = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    sure, right = probabilities.max(1), probabilities.argmax(1) == of
    error = 0.0
    for number in range(bins):
        within = (sure > number / bins) & (sure <= (number + 1) / bins)
        if within.any():
            error += within.mean() * abs(right[within].mean() - sure[within].mean())
    return float(error)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), videos=st.integers(2, 60), classes=st.sampled_from([2, 7, 40]))
def test_they_are_what_their_definitions_give(seed: int, videos: int, classes: int) -> None:
    scores, of = drawn(seed, videos, classes)
    found = measured(predictions(scores, of), "single-label")
    assert found.top_1 == pytest.approx(top(scores, of, 1), abs=1e-12)
    assert found.top_5 == pytest.approx(top(scores, of, 5), abs=1e-12)
    assert found.mean_class_accuracy == pytest.approx(class_accuracy(scores, of), abs=1e-12)
    assert found.calibration_error == pytest.approx(calibration(scores, of), abs=1e-9)
    assert found.hit_at_1 == found.top_1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_influence_is_what_one_more_copy_of_a_video_adds(seed: int) -> None:
    scores, of = drawn(seed, 200, 4)
    known, copies = predictions(scores, of), 1
    for name in ("top_1", "top_5", "mean_class_accuracy", "hit_at_1", "perr"):
        metric = metrics()[name]
        influence, whole = metric.influence(known), metric.compute(known)
        assert influence is not None
        assert abs(influence.sum()) < 1e-12
        for video in range(0, 200, 40):
            more = metric.compute(known.take(np.append(np.arange(200), [video] * copies)))
            assert more - whole == pytest.approx(influence[video], rel=0.06, abs=1e-12)


def test_a_network_that_is_always_sure_is_as_wrong_as_its_accuracy_is_low() -> None:
    scores = np.zeros((4, 3), dtype=np.float32)
    scores[:, 0] = 100.0
    found = measured(predictions(scores, np.array([0, 0, 0, 2])), "single-label")
    assert (found.top_1, found.calibration_error) == (0.75, 0.25)
    assert found.mean_class_accuracy == 0.5


def test_a_network_that_knows_that_it_knows_nothing_is_calibrated() -> None:
    scores = np.zeros((4, 4), dtype=np.float32)
    assert measured(predictions(scores, np.arange(4)), "single-label").calibration_error == 0.0


def test_metrics_that_need_every_score_are_not_defined_without() -> None:
    scores, of = drawn(0, 10, 5)
    best = predictions(scores, of).take(np.arange(10))
    assert metrics()["calibration_error"].compute(best) is None
    assert metrics()["map"].compute(best) is None


def test_bins_below_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="bins=0 is not at least 1"):
        type(metrics()["calibration_error"])(bins=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=30))
def test_some_videos_predictions_are_those_of_these_videos(videos: list[int]) -> None:
    scores, of = drawn(1, 20, 30)
    taken, made = (
        predictions(scores, of).take(np.array(videos)),
        predictions(scores[videos], of[videos]),
    )
    for name in ("scores", "classes", "hits", "positives", "hits_at_positives", "class_positives"):
        assert np.array_equal(getattr(taken, name), getattr(made, name)), name
    assert taken.labels is not None
    assert taken.labels.classes.tolist() == of[videos].tolist()
    assert taken.ids == tuple(str(video) for video in videos)
