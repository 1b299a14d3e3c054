from __future__ import annotations

import random
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillbench.errors import TrainingError
from distillbench.metrics.topk import TopK
from measuring import measured

slow_metrics = run_path(str(Path(__file__).with_name("slow_metrics.py")))["slow_metrics"]


def drawn(videos: int, classes: int, seed: int, rate: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(videos, classes, generator=generator) < rate
    labels[0, 0] = True
    return torch.randn(videos, classes, generator=generator) + labels.float(), labels


def metrics(scores: Tensor, labels: Tensor, *cuts: int) -> SimpleNamespace:
    accumulator = TopK(scores.shape[1])
    for part, truth in zip(scores.tensor_split(cuts), labels.tensor_split(cuts), strict=True):
        accumulator.update(part, truth)
    return measured(accumulator)


def agrees(found: SimpleNamespace, scores: Tensor, labels: Tensor) -> None:
    for name, value in slow_metrics(scores.tolist(), labels.tolist()).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(
    ("videos", "classes", "rate"), [(60, 700, 0.01), (40, 30, 0.2), (30, 10, 0.3), (20, 25, 0.9)]
)
def test_random_scores_give_what_the_definitions_give(
    videos: int, classes: int, rate: float
) -> None:
    scores, labels = drawn(videos, classes, seed=videos, rate=rate)
    agrees(metrics(scores, labels), scores, labels)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_tied_scores_give_the_mean_over_all_orders_of_the_tied(data: st.DataObject) -> None:
    videos, classes = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([2, 3, 24]))
    levels = 2 if classes < 4 else 24
    level = st.integers(0, levels)
    rows = [data.draw(st.lists(level, min_size=classes, max_size=classes)) for _ in range(videos)]
    truth = [
        data.draw(st.lists(st.booleans(), min_size=classes, max_size=classes))
        for _ in range(videos)
    ]
    if not any(map(any, truth)) or max(np.bincount(np.concatenate(rows))) > 7:
        return
    scores, labels = torch.tensor(rows, dtype=torch.float32), torch.tensor(truth)
    agrees(metrics(scores, labels), scores, labels)


def test_of_classes_tied_at_the_last_kept_place_the_lowest_is_kept() -> None:
    scores = torch.zeros(1, 900)
    scores[0, 800:819] = 1.0
    kept = TopK(900)
    kept.update(scores, scores.bool())
    assert kept.predictions(["a"]).classes[0].tolist() == [*range(800, 819), 0]


def test_negative_zero_ties_with_zero() -> None:
    scores = torch.tensor([[-0.0, 0.0], [0.0, -0.0]])
    assert metrics(scores, torch.tensor([[True, False], [True, False]])).ties == 4


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(0, 40), max_size=4), coarse=st.booleans())
def test_neither_batches_nor_the_order_of_videos_matter(
    seed: int, cuts: list[int], coarse: bool
) -> None:
    scores, labels = drawn(40, 300, seed)
    scores = scores.mul(2).round() if coarse else scores
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    assert metrics(scores, labels) == metrics(scores[order], labels[order], *sorted(cuts))


def test_merged_accumulators_equal_one_pass() -> None:
    scores, labels = drawn(50, 40, seed=1)
    whole, first, second = TopK(40), TopK(40), TopK(40)
    whole.update(scores, labels)
    first.update(scores[:20], labels[:20])
    second.update(scores[20:], labels[20:])
    first.merge(TopK.from_state(second.state()))
    assert len(first) == 50
    assert measured(first) == measured(whole)
    for name, values in whole.state().items():
        assert torch.equal(first.state()[name], values)


def test_accumulators_of_different_classes_do_not_merge() -> None:
    with pytest.raises(ValueError, match="3 and 4 classes"):
        TopK(3).merge(TopK(4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("label_dtype", [torch.uint8, torch.float32, torch.int64])
def test_every_type_of_score_and_label_is_taken(
    dtype: torch.dtype, label_dtype: torch.dtype
) -> None:
    scores, labels = drawn(10, 30, seed=2)
    assert metrics(scores.to(dtype), labels.to(label_dtype)) == metrics(
        scores.to(dtype).float(), labels
    )


def test_numpy_arrays_are_taken() -> None:
    scores, labels = drawn(10, 30, seed=3)
    accumulator = TopK(30)
    accumulator.update(scores.numpy(), labels.numpy())
    assert measured(accumulator) == metrics(scores, labels)


def test_a_video_without_label_counts_as_a_miss() -> None:
    scores, labels = drawn(4, 30, seed=4)
    labels[2:] = False
    labels[:2] = scores[:2] > scores[:2].topk(4, dim=1).values[:, 3:]
    found = metrics(scores, labels)
    assert (found.hit_at_1, found.perr) == (0.5, 0.5)


def test_more_labels_than_kept_scores_are_counted_exactly() -> None:
    scores = torch.arange(60.0).flip(0)[None]
    labels = torch.zeros(1, 60, dtype=torch.bool)
    labels[0, :29] = labels[0, 59] = True  # 30 labels, 29 of them among the best 30
    assert metrics(scores, labels).perr == pytest.approx(29 / 30)


def test_a_class_at_minus_infinity_is_not_offered() -> None:
    scores = torch.tensor([[2.0, -torch.inf, -torch.inf], [1.0, -torch.inf, 0.0]])
    labels = torch.tensor([[False, True, False], [True, False, False]])
    agrees(metrics(scores, labels), scores, labels)
    kept = TopK(3)
    kept.update(scores, labels)
    assert kept.predictions(["a", "b"]).classes.tolist() == [[0, -1, -1], [0, 2, -1]]


def test_without_any_label_ranking_metrics_are_not_defined() -> None:
    found = metrics(torch.randn(5, 4), torch.zeros(5, 4))
    assert (found.gap, found.map_at_20, found.map_at_20_all_classes) == (None, None, None)


@pytest.mark.parametrize("classes", [10, 700])
def test_a_nan_is_named_by_its_video(classes: int) -> None:
    accumulator = TopK(classes)
    accumulator.update(*drawn(7, classes, seed=5))
    scores, labels = drawn(4, classes, seed=6)
    scores[3, classes - 1] = torch.nan
    with pytest.raises(TrainingError, match="video 10 "):
        accumulator.update(scores, labels)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        TopK(3).update(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("classes", [3862, 32768])
def test_the_state_stays_within_160_bytes_a_video(classes: int) -> None:
    accumulator = TopK(classes)
    accumulator.update(torch.randn(8, classes), torch.ones(8, classes))
    state = accumulator.state()
    assert sum(values.nbytes for values in state.values()) - 8 * classes == 8 * 148
    assert int(state["classes"].min()) >= 0


def test_classes_beyond_16_bits_are_kept() -> None:
    scores = torch.zeros(1, 40000)
    scores[0, 39999] = 1.0
    accumulator = TopK(40000)
    accumulator.update(scores, scores)
    assert accumulator.predictions(["a"]).classes[0, 0] == 39999
    assert measured(accumulator).gap == 1.0


def test_global_random_state_is_left_alone() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    metrics(*drawn(30, 60, seed=7))
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_an_empty_batch_changes_nothing() -> None:
    scores, labels = drawn(6, 30, seed=8)
    assert metrics(scores, labels, 0, 3, 3) == metrics(scores, labels)
