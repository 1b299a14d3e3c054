from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillbench.interfaces import Labels
from distillbench.metrics.topk import TopK
from measuring import measured
from resampling import Resampler


def kept(scores: torch.Tensor, labels: torch.Tensor) -> TopK:
    accumulator = TopK(scores.shape[1])
    accumulator.update(scores, labels)
    return accumulator


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), classes=st.sampled_from([3, 40]), coarse=st.booleans())
def test_a_resample_equals_the_metrics_of_the_repeated_videos(
    seed: int, classes: int, coarse: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(30, classes, generator=generator) < 0.1
    labels[:, 0] = True
    scores = torch.randn(30, classes, generator=generator) + labels.float()
    scores = scores.round() if coarse else scores
    compressed = Labels(
        torch.cat([torch.zeros(1, dtype=torch.int64), labels.sum(1).cumsum(0)]),
        labels.nonzero()[:, 1],
        classes,
    )
    resampler = Resampler(kept(scores, labels).predictions([str(v) for v in range(30)]), compressed)
    weights = np.random.default_rng(seed).poisson(1.0, (3, 30))
    weights[:, 0] += 1
    gaps, maps = resampler.gap(weights), resampler.map_at_20(weights)
    for row, gap, mean in zip(weights, gaps, maps, strict=True):
        videos = torch.from_numpy(np.repeat(np.arange(30), row))
        truth = measured(kept(scores[videos], labels[videos]))
        assert (gap, mean) == pytest.approx((truth.gap, truth.map_at_20), abs=1e-10)


def test_a_resample_without_positives_has_no_gap() -> None:
    labels = torch.tensor([[True, False], [False, False]])
    resampler = Resampler(kept(torch.randn(2, 2), labels).predictions(["a", "b"]))
    assert np.isnan(resampler.gap(np.array([[0, 3]]))).all()


def test_mean_average_precision_needs_the_labels() -> None:
    resampler = Resampler(kept(torch.randn(2, 2), torch.ones(2, 2)).predictions(["a", "b"]))
    with pytest.raises(ValueError, match="needs the labels"):
        resampler.map_at_20(np.ones((1, 2), dtype=np.int64))


def test_weights_of_other_videos_are_refused() -> None:
    resampler = Resampler(kept(torch.randn(2, 2), torch.ones(2, 2)).predictions(["a", "b"]))
    with pytest.raises(ValueError, match=r"\(resamples, 2\)"):
        resampler.gap(np.ones((1, 3), dtype=np.int64))


def test_videos_without_any_offer_can_be_resampled() -> None:
    resampler = Resampler(
        kept(torch.full((2, 2), -torch.inf), torch.ones(2, 2)).predictions(["a", "b"])
    )
    assert resampler.gap(np.ones((1, 2), dtype=np.int64)).tolist() == [0.0]
