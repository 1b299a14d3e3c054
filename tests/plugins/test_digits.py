"""Videos of handwritten digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME
from distillbench_plugins.datasets.digits import Digits, _handwritten


def test_two_opens_agree_and_another_seed_does_not() -> None:
    first, again, other = (
        Digits(train=20, validation=5, test=5, seed=seed).splits() for seed in (0, 0, 1)
    )
    assert first.train.fingerprint == again.train.fingerprint != other.train.fingerprint
    assert first.train.fingerprint != first.test.fingerprint


def test_labels_are_the_digits_shown() -> None:
    splits = Digits(train=200, validation=5, test=5, noise=0, jitter=0).splits()
    dense = splits.train.labels.dense(torch.arange(200))
    shots = [
        len(video.unique(dim=0))
        for video in splits.train.read(torch.arange(200), torch.arange(60).expand(200, -1))
    ]
    assert all(4 <= count <= 9 for count in shots)
    assert bool((dense.sum(1) >= 1).all())
    assert bool((dense.sum(1) <= torch.tensor(shots)).all())


def test_no_image_is_in_two_splits() -> None:
    splits = Digits(train=300, validation=100, test=100, noise=0, jitter=0).splits()
    seen = []
    for videos in (splits.train, splits.validation, splits.test):
        frames = videos.read(
            torch.arange(len(videos)), torch.arange(60).expand(len(videos), -1)
        ).flatten(0, 1)
        seen.append({bytes(image.numpy()) for image in frames.unique(dim=0)})
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_shots_are_uneven_in_length() -> None:
    videos = Digits(train=50, validation=5, test=5, noise=0, jitter=0).splits().train
    frames = videos.read(torch.arange(50), torch.arange(60).expand(50, -1)).long()
    cuts = (frames[:, 1:] != frames[:, :-1]).any(2)
    starts = [row.nonzero().flatten().diff() for row in cuts]
    assert sum(len(gaps.unique()) > 1 for gaps in starts if len(gaps) > 1) > 40


def test_only_the_frames_asked_for_are_read() -> None:
    videos = Digits(train=5, validation=5, test=5).splits().train
    whole = videos.read(torch.tensor([3]), torch.arange(60)[None])
    some = videos.read(torch.tensor([3]), torch.tensor([[7, 20, NO_FRAME]]))
    assert torch.equal(some[0, :2], whole[0, [7, 20]])
    assert not some[0, 2].any()


def test_noise_has_the_deviation_asked_for() -> None:
    clean, noised = (
        Digits(train=100, validation=5, test=5, noise=noise, jitter=0).splits().train
        for noise in (0.0, 3.0)
    )
    values = [
        v.codec.scale * 16 * v.read(torch.arange(100), torch.arange(60).expand(100, -1)).float()
        for v in (clean, noised)
    ]
    assert float((values[1] - values[0]).std()) == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"train": 0}, "train is 0 and must be at least 1"),
        ({"fewest_shots": 9, "most_shots": 4}, "fewest_shots is 9 and must be at most 4"),
        ({"most_shots": 61}, "most_shots is 61 and must be at most 60"),
        ({"noise": -1.0}, "noise is -1.0 and must be at least 0"),
        ({"noise": float("nan")}, "noise is nan and must be a number"),
        ({"jitter": 8}, "jitter is 8 and must be at most 7"),
    ],
)
def test_knobs_that_make_no_videos_are_refused(knobs: dict[str, int], why: str) -> None:
    with pytest.raises(DataError, match=why):
        Digits(**knobs).splits()


def test_the_images_are_those_that_scikit_learn_loads() -> None:
    images, digits = load_digits(return_X_y=True)
    found, labels = _handwritten()
    assert np.array_equal(found, images)
    assert np.array_equal(labels, digits)


def test_the_videos_are_the_ones_that_results_were_made_of() -> None:
    splits = Digits(train=100, validation=70, test=3, noise=0, jitter=0).splits()
    assert splits.train.fingerprint == "53aa1ff90af215cf"
    noisy = Digits(train=130, validation=70, test=3).splits()
    assert noisy.train.fingerprint == "23c32c5d3c534f23"


def test_without_scikit_learn_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        Digits().splits()
