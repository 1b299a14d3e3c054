"""Reels: clips end to end, from small shards and from AudioSet's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from distillbench.data import Recipe, ShardSource, write_synthetic
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Splits, Videos
from distillbench_plugins.datasets.reels import Reels

NAMES = ("train", "validation", "test")
SIZES = {"train": 40, "validation": 10, "test": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shards")
    recipe = Recipe(videos=80, widths={"audio_embedding": 8}, classes=9, shortest=1, longest=10)
    write_synthetic(folder, recipe, 2)
    return str(folder)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))


def opened(folder: str, **knobs: Any) -> Splits:
    return Reels(**{"dir": folder, "fewest": 2, "most": 5, **SIZES, **knobs}).splits()


def clips_of(folder: str, seed: int = 0) -> Splits:
    return ShardSource(
        dir=folder,
        features="audio_embedding",
        validation_share=0.15,
        test_share=0.25,
        split_seed=seed,
    ).splits()


def whole(videos: Videos, video: int) -> torch.Tensor:
    return videos.read(torch.tensor([video]), torch.arange(int(videos.lengths[video]))[None])[0]


def clips_in(reel: torch.Tensor, clips: list[torch.Tensor]) -> list[int]:
    """The clips that a reel is made of, found by their frames alone; nothing where it is not."""
    for number, clip in enumerate(clips):
        if len(clip) <= len(reel) and torch.equal(reel[: len(clip)], clip):
            rest = clips_in(reel[len(clip) :], clips)
            if rest or len(clip) == len(reel):
                return [number, *rest]
    return []


def test_a_reel_is_clips_of_its_split_end_to_end_and_has_all_their_labels(folder: str) -> None:
    reels, clips = opened(folder), clips_of(folder)
    for name in NAMES:
        made, source = getattr(reels, name), getattr(clips, name)
        frames = [whole(source, clip) for clip in range(len(source))]
        dense = source.labels.dense(torch.arange(len(source)))
        for reel in range(len(made)):
            found = clips_in(whole(made, reel), frames)
            assert 2 <= len(found) <= 5, f"{name} {reel} is made of {found}"
            union = dense[found].amax(0)
            assert torch.equal(made.labels.dense(torch.tensor([reel]))[0], union)


def test_no_clip_is_in_two_splits(folder: str) -> None:
    reels = opened(folder)
    frames = [
        {bytes(frame.numpy()) for reel in range(len(made)) for frame in whole(made, reel)}
        for made in (reels.train, reels.validation, reels.test)
    ]
    assert not frames[0] & frames[1]
    assert not frames[0] & frames[2]
    assert not frames[1] & frames[2]


def test_every_clip_is_used_before_one_is_used_again(folder: str) -> None:
    clips = clips_of(folder).train
    made = opened(folder, train=len(clips), fewest=1, most=1).train
    used = sorted(bytes(whole(made, reel).numpy()) for reel in range(len(made)))
    assert used == sorted(bytes(whole(clips, clip).numpy()) for clip in range(len(clips)))


def test_two_opens_agree_and_another_seed_does_not(folder: str) -> None:
    first, again, other = (opened(folder, seed=seed) for seed in (0, 0, 1))
    for name in NAMES:
        prints = [getattr(each, name).fingerprint for each in (first, again, other)]
        assert prints[0] == prints[1] != prints[2]
    assert torch.equal(whole(first.test, 3), whole(again.test, 3))
    assert len({getattr(first, name).fingerprint for name in NAMES}) == 3


def test_other_frames_are_other_data(folder: str) -> None:
    one, other = (opened(folder, normalise=how).train for how in ("l2", "standardise"))
    assert one.fingerprint != other.fingerprint
    assert other.codec.normalise == "standardise"


def test_fewer_reels_are_the_first_of_more(folder: str) -> None:
    fewer, more = opened(folder, train=7).train, opened(folder).train
    assert list(fewer.ids) == list(more.ids)[:7] == [f"train-{reel:05d}" for reel in range(7)]
    assert all(torch.equal(whole(fewer, reel), whole(more, reel)) for reel in range(7))


def test_a_smaller_fraction_is_within_a_larger_one_and_leaves_the_others_alone(folder: str) -> None:
    whole_set, half, tenth = (opened(folder, fraction=share) for share in (1.0, 0.5, 0.2))
    assert set(tenth.train.ids) < set(half.train.ids) < set(whole_set.train.ids)
    assert half.test.fingerprint == whole_set.test.fingerprint
    place = list(whole_set.train.ids).index(half.train.ids[1])
    assert torch.equal(whole(half.train, 1), whole(whole_set.train, place))


def test_a_fraction_of_nothing_is_refused(folder: str) -> None:
    with pytest.raises(DataError, match="a fraction of 1e-09 of 40 training reels is none"):
        opened(folder, fraction=1e-9)


def test_only_the_frames_asked_for_are_read_into_the_buffer(folder: str) -> None:
    reels = opened(folder).train
    last = int(reels.lengths[3]) - 1
    index = torch.tensor([[0, last, NO_FRAME]])
    out = torch.full((1, 3, 8), 9, dtype=torch.uint8)
    assert reels.read(torch.tensor([3]), index, out) is out
    assert torch.equal(out[0, :2], whole(reels, 3)[[0, last]])
    assert not out[0, 2].any()


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"train": 0}, "reels: train is 0 and must be at least 1"),
        ({"fewest": 0}, "reels: fewest is 0 and must be at least 1"),
        ({"fewest": 6}, "reels: fewest is 6 and must be at most 5"),
        ({"most": 10_001}, "reels: most is 10001 and must be at most 10,000"),
        ({"test": 1_000_000, "most": 11}, "1,000,000 reels of 11 clips do not fit into memory"),
        ({"seed": -1}, "reels: seed is -1 and must be at least 0"),
        ({"fraction": 0.0}, "a training fraction of 0.0 was requested"),
    ],
)
def test_knobs_that_make_no_reels_are_refused(folder: str, knobs: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=why):
        opened(folder, **knobs)


def test_shards_that_are_not_there_are_said_to_be_found_where_they_are(tmp_path: Path) -> None:
    for folder, why in (
        ("", "no data was named"),
        (str(tmp_path), "no \\*.tfrecord in this folder"),
        (str(tmp_path / "nowhere"), "no such folder"),
    ):
        with pytest.raises(DataError, match=why) as caught:
            Reels(dir=folder).splits()
        assert "https://research.google.com/audioset/download.html" in str(caught.value)
        assert "--data-dir (data.dir)" in str(caught.value)


def test_real_reels_are_as_long_as_youtube_8ms_videos(real_data: Path) -> None:
    reels = Reels(dir=str(real_data / "audioset")).splits()
    assert [len(getattr(reels, name)) for name in NAMES] == [12_000, 500, 1000]
    assert reels.train.features == {"audio_embedding": 128}
    assert reels.train.labels.count == 527
    assert reels.train.class_names is not None
    assert reels.train.class_names[0] == "Speech"
    assert 40 < reels.train.lengths.min() < 60 < 290 < reels.train.lengths.max() <= 300
    assert reels.train.lengths.double().mean() == pytest.approx(178, abs=5)


def test_perfect_scores_of_real_reels_stay_below_1(real_data: Path) -> None:
    labels = Reels(dir=str(real_data / "audioset")).splits().test.labels
    counts = labels.offsets.diff().double()
    assert counts.mean() == pytest.approx(33, abs=1)
    assert counts.clamp_max(20).sum() / counts.sum() == pytest.approx(0.59, abs=0.01)
