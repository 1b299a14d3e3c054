from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillbench.data import Recipe, Video, synthetic_videos, write_shard, write_synthetic
from distillbench.errors import DataError

RECIPE = Recipe(videos=300, widths={"rgb": 8, "audio": 2}, classes=10, longest=20, seed=4)


def test_the_same_recipe_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write_synthetic(tmp_path / name, RECIPE, shards=2)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_video_does_not_depend_on_how_many_there_are() -> None:
    few = list(
        synthetic_videos(
            Recipe(videos=3, widths={"rgb": 8, "audio": 2}, classes=10, longest=20, seed=4)
        )
    )
    many = list(synthetic_videos(RECIPE))
    assert all(
        np.array_equal(one.frames["rgb"], other.frames["rgb"])
        for one, other in zip(few, many, strict=False)
    )


def test_labels_have_a_long_tail_and_lengths_fill_their_range() -> None:
    videos = list(synthetic_videos(RECIPE))
    counts = np.bincount([label for video in videos for label in video.labels or ()], minlength=10)
    assert counts[0] > 2 * counts[4] > 0
    assert counts.min() > 0
    assert {len(video.frames["rgb"]) for video in videos} == set(range(1, 21))
    assert {len(video.labels or ()) for video in videos} == {1, 2, 3, 4}


def test_frames_tell_the_labels() -> None:
    videos = list(synthetic_videos(RECIPE))
    means = np.array([video.frames["rgb"].mean(0) for video in videos])
    shown = np.array([[label in (video.labels or ()) for label in range(10)] for video in videos])
    looks = np.array(
        [means[shown[:, label]].mean(0) - means[~shown[:, label]].mean(0) for label in range(10)]
    )
    scores = (means - means.mean(0)) @ looks.T
    assert scores[shown].mean() - scores[~shown].mean() > scores.std() / 2


def test_every_shard_has_its_part(tmp_path: Path) -> None:
    paths = write_synthetic(tmp_path, RECIPE, shards=7)
    assert len(paths) == 7
    assert all(path.stat().st_size > 1000 for path in paths)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"videos": 0}, "videos is 0 and must be at least 1"),
        ({"shortest": 5, "longest": 4}, "longest is 4 and must be at least 5"),
        ({"widths": {}}, "at least one feature is needed"),
        ({"widths": {"rgb": 0}}, "the width of rgb is 0 and must be at least 1"),
        (
            {"widths": {"rgb": 99_999}, "classes": 99_999},
            "99,999 classes or frames of 99,999 numbers do not fit",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(settings: dict[str, int], why: str) -> None:
    with pytest.raises(DataError, match=why):
        Recipe(**{"widths": {"rgb": 1}, **settings})  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def videos() -> object:
        yield Video("a", [], {"rgb": np.ones((2, 2), np.uint8)})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.tfrecord", videos())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
