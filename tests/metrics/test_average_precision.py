from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import Tensor

from distillbench.errors import DataError, TrainingError
from distillbench.metrics import average_precision
from distillbench.metrics.average_precision import MeanAveragePrecision, mean_average_precision


def drawn(videos: int, classes: int, seed: int, coarse: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(videos, classes, generator=generator) < 0.05
    labels[0, 0] = True
    scores = torch.randn(videos, classes, generator=generator) + labels.float()
    return scores.round() if coarse else scores, labels


def expected(scores: Tensor, labels: Tensor) -> float:
    present = labels.any(0)
    truth, found = labels[:, present].numpy(), scores[:, present].numpy()
    return float(
        np.mean([average_precision_score(truth[:, c], found[:, c]) for c in range(truth.shape[1])])
    )


def batches(scores: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(scores.split(size), labels.split(size), strict=True)


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("memory", [0, 20_000, 1 << 30])
def test_equals_scikit_learn(memory: int, coarse: bool) -> None:
    scores, labels = drawn(300, 150, seed=1, coarse=coarse)
    accumulator = MeanAveragePrecision(150, memory)
    for part in batches(scores, labels, 32):
        accumulator.update(*part)
    assert accumulator.compute() == pytest.approx(expected(scores, labels), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), size=st.integers(1, 60), coarse=st.booleans())
def test_two_walks_over_any_batches_equal_scikit_learn(seed: int, size: int, coarse: bool) -> None:
    scores, labels = drawn(60, 12, seed, coarse)
    found = mean_average_precision(lambda: batches(scores, labels, size), 12)
    assert found == pytest.approx(expected(scores, labels), abs=1e-12)


def test_blocks_smaller_than_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = drawn(300, 20, seed=2)
    whole = mean_average_precision(lambda: [(scores, labels)], 20)
    monkeypatch.setattr(average_precision, "_BLOCK_NUMBERS", 20 * 7)
    assert mean_average_precision(lambda: [(scores, labels)], 20) == whole
    spilled = MeanAveragePrecision(20, memory=0)
    spilled.update(scores, labels)
    assert spilled.compute() == whole


def test_a_class_without_positive_has_no_average_precision() -> None:
    scores, labels = drawn(50, 4, seed=3)
    labels[:, 2] = False
    accumulator = MeanAveragePrecision(4)
    accumulator.update(scores, labels)
    assert np.isnan(accumulator.average_precisions()).tolist() == [
        not any_ for any_ in labels.any(0).tolist()
    ]


def test_merged_accumulators_equal_one_pass() -> None:
    scores, labels = drawn(50, 9, seed=4)
    whole, first, second = (MeanAveragePrecision(9, memory=500) for _ in range(3))
    whole.update(scores, labels)
    first.update(scores[:20], labels[:20])
    second.update(scores[20:], labels[20:])
    first.merge(second)
    assert first.compute() == whole.compute()


def test_counts_of_several_processes_add_up() -> None:
    scores, labels = drawn(50, 9, seed=5)
    found = average_precision.Positives(9)
    found.add(scores, labels)
    thresholds = found.thresholds()
    counts = sum(thresholds.count([part.numpy()]) for part in scores.split(20))
    single = mean_average_precision(lambda: [(scores, labels)], 9)
    assert average_precision.mean_of(thresholds.average_precisions(counts)) == single


def test_a_later_change_of_the_batch_does_not_reach_what_was_kept() -> None:
    scores, labels = drawn(50, 9, seed=6)
    accumulator = MeanAveragePrecision(9)
    accumulator.update(scores, labels)
    before = accumulator.compute()
    scores.zero_()
    assert accumulator.compute() == before


def test_a_nan_is_named_by_its_video() -> None:
    scores, labels = drawn(8, 9, seed=7)
    accumulator = MeanAveragePrecision(9)
    accumulator.update(scores, labels)
    scores[5, 2] = torch.nan
    with pytest.raises(TrainingError, match="video 13 "):
        accumulator.update(scores, labels)


def test_opposite_infinities_are_no_nan() -> None:
    scores, labels = drawn(8, 3, seed=8)
    scores[1, 0], scores[2, 0] = torch.inf, -torch.inf
    assert 0 < mean_average_precision(lambda: [(scores, labels)], 3) <= 1


def test_no_labels_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the videos has any"):
        mean_average_precision(lambda: [(torch.randn(5, 4), torch.zeros(5, 4))], 4)
