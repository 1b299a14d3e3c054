from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from distillbench.data import Recipe, ShardVideos, Video, write_shard, write_synthetic
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME

WIDTHS = {"rgb": 24, "audio": 8}


def shard(path: Path, videos: Sequence[Video]) -> Path:
    write_shard(path, videos)
    return path


def video(name: str, frames: int = 3, width: int = 4, labels: Sequence[int] | None = (0,)) -> Video:
    rng = np.random.default_rng(len(name) + frames)
    return Video(name, labels, {"rgb": rng.integers(0, 256, (frames, width), dtype=np.uint8)})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    recipe = Recipe(videos=40, widths=WIDTHS, classes=7, longest=30, seed=3)
    return write_synthetic(tmp_path_factory.mktemp("shards"), recipe, shards=3)


def test_every_frame_is_read_as_it_was_written(written: list[Path]) -> None:
    videos = ShardVideos(written, ["rgb", "audio"])
    swapped = ShardVideos(written, ["audio", "rgb"])
    assert videos.features == WIDTHS
    assert list(swapped.features) == ["audio", "rgb"]
    assert len(videos) == 40
    assert videos.labels.count == 7
    which = torch.randperm(40)[:16]
    times = torch.arange(int(videos.lengths[which].max())).expand(16, -1)
    times = torch.where(times < videos.lengths[which][:, None], times, NO_FRAME)
    every = videos.read(which, times)
    one_by_one = torch.cat(
        [videos.read(which, times[:, frame : frame + 1]) for frame in range(times.shape[1])], 1
    )
    assert torch.equal(every, one_by_one)
    assert (every[times < 0] == 0).all()
    assert torch.equal(swapped.read(which, times), every.roll(8, 2))


def test_frames_may_be_asked_for_in_any_order_and_again(written: list[Path]) -> None:
    videos = ShardVideos(written, ["rgb", "audio"])
    which = torch.tensor([int(videos.lengths.argmax())])
    every = videos.read(which, torch.arange(int(videos.lengths.max()))[None])
    order = torch.tensor([[3, 3, 0, 5, 1, 2, 3, 4, 9]])
    assert torch.equal(videos.read(which, order)[0], every[0, order[0]])


def test_reading_into_a_buffer_leaves_nothing_of_what_was_there(written: list[Path]) -> None:
    videos = ShardVideos(written, ["rgb", "audio"])
    which = torch.arange(5)
    for slots in (4, 40):
        times = torch.arange(slots).expand(5, -1)
        times = torch.where(times < videos.lengths[which][:, None], times, NO_FRAME)
        out = torch.full((5, slots, 32), 7, dtype=torch.uint8)
        assert videos.read(which, times, out) is out
        assert torch.equal(out, videos.read(which, times))


def test_sharing_the_rows_out_over_threads_changes_nothing(
    written: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = ShardVideos(written, ["rgb", "audio"])
    which = torch.randperm(40)
    for slots in (4, 40):
        times = torch.arange(slots).expand(40, -1)
        times = torch.where(times < videos.lengths[which][:, None], times, NO_FRAME)
        alone = videos.read(which, times)
        with monkeypatch.context() as patch:
            patch.setattr("distillbench.data.memory.threads._LEAST", 1)
            assert torch.equal(videos.read(which, times), alone)


def test_a_buffer_of_another_shape_is_refused(written: list[Path]) -> None:
    videos = ShardVideos(written, ["rgb"])
    with pytest.raises(ValueError, match="shape"):
        videos.read(
            torch.arange(2),
            torch.zeros(2, 1, dtype=torch.int64),
            torch.empty(2, 1, 23, dtype=torch.uint8),
        )


def test_a_frame_that_a_video_does_not_have_is_refused(written: list[Path]) -> None:
    videos = ShardVideos(written, ["rgb"])
    with pytest.raises(IndexError):
        videos.read(torch.tensor([0]), videos.lengths[:1, None])


def test_a_video_is_as_long_as_its_shortest_feature(tmp_path: Path) -> None:
    frames = {"rgb": np.ones((3, 4), np.uint8), "audio": np.full((2, 1), 5, np.uint8)}
    videos = ShardVideos(
        [shard(tmp_path / "a.tfrecord", [Video("v", [0], frames)])], ["rgb", "audio"]
    )
    assert videos.lengths.tolist() == [2]
    assert videos.read(torch.tensor([0]), torch.tensor([[1]])).tolist() == [[[1, 1, 1, 1, 5]]]


def test_two_opens_agree_and_other_bytes_have_another_fingerprint(
    written: list[Path], tmp_path: Path
) -> None:
    fingerprint = ShardVideos(written, ["rgb"]).fingerprint
    copies = [Path(path.rename(path)) for path in written]
    assert ShardVideos(copies, ["rgb"]).fingerprint == fingerprint
    assert ShardVideos(written, ["audio"]).fingerprint != fingerprint
    assert ShardVideos(written[:2], ["rgb"]).fingerprint != fingerprint


def test_labels_are_those_that_were_written(tmp_path: Path) -> None:
    paths = [
        shard(tmp_path / "a.tfrecord", [video("a", labels=[4, 1]), video("b", labels=[])]),
        shard(tmp_path / "b.tfrecord", [video("c", labels=[2, 2, 0])]),
    ]
    labels = ShardVideos(paths, ["rgb"]).labels
    assert labels.count == 5
    assert labels.dense(torch.arange(3)).tolist() == [
        [0, 1, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 0, 0],
    ]


def test_class_names_set_the_number_of_classes(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a", labels=[1])])
    assert ShardVideos([path], ["rgb"], class_names=["x", "y", "z"]).labels.count == 3


def test_a_label_beyond_the_classes_is_named(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a", labels=[1]), video("b", labels=[0, 9])])
    with pytest.raises(
        DataError, match=r"a.tfrecord: video 'b' has the label 9, but there are 5 classes at most"
    ):
        ShardVideos([path], ["rgb"], classes=5)


def test_an_absurd_number_of_classes_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a", labels=[2**31 - 1])])
    with pytest.raises(DataError, match="has the label 2147483647"):
        ShardVideos([path], ["rgb"])


@pytest.mark.parametrize("labels", [None, ()])
def test_records_without_labels_are_refused_where_labels_are_needed(
    tmp_path: Path, labels: Sequence[int] | None
) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a", labels=labels)])
    with pytest.raises(
        DataError, match=r"a.tfrecord: video 'a': it has no labels, and they are needed"
    ):
        ShardVideos([path], ["rgb"])
    assert ShardVideos([path], ["rgb"], needs_labels=False).labels.offsets.tolist() == [0, 0]


def test_a_missing_list_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a")])
    with pytest.raises(DataError, match=r"video 'a': it has no list 'audio' \(lists found: rgb\)"):
        ShardVideos([path], ["rgb", "audio"])


def test_an_empty_list_is_named(tmp_path: Path) -> None:
    frames = {"rgb": np.ones((3, 4), np.uint8), "audio": np.ones((0, 1), np.uint8)}
    path = shard(tmp_path / "a.tfrecord", [Video("a", [0], frames)])
    with pytest.raises(DataError, match="video 'a': its list 'audio' is empty"):
        ShardVideos([path], ["rgb", "audio"])


@pytest.mark.parametrize("apart", [True, False])
def test_a_width_that_changes_is_named(tmp_path: Path, apart: bool) -> None:
    videos = [video("a"), video("b"), video("c", width=5)]
    paths = [shard(tmp_path / "a.tfrecord", videos[:2] if apart else videos)]
    if apart:
        paths.append(shard(tmp_path / "b.tfrecord", videos[2:]))
    with pytest.raises(
        DataError,
        match=r"video 'c': its list 'rgb' is 5 wide, where that of .*a.tfrecord: video 'a' is 4",
    ):
        ShardVideos(paths, ["rgb"])


def test_an_id_that_occurs_twice_is_named(tmp_path: Path) -> None:
    paths = [shard(tmp_path / f"{name}.tfrecord", [video("same"), video(name)]) for name in "ab"]
    with pytest.raises(DataError, match=r"b.tfrecord: video 'same': its id occurs before"):
        ShardVideos(paths, ["rgb"])


def test_skipping_keeps_the_rest_and_reports_what_was_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = (
        [video("a"), video("z", frames=9)],
        [video("a"), video("b", width=5), video("c", labels=None)],
    )
    path = shard(tmp_path / "a.tfrecord", [good[0], *bad, good[1]])
    with caplog.at_level(logging.WARNING):
        videos = ShardVideos([path], ["rgb"], skip_bad_records=True)
    assert list(videos.ids) == ["a", "z"]
    assert sum(videos.skipped.values()) == 3
    assert "left out 3 bad records of 1 shards" in caplog.text
    expected = torch.from_numpy(good[1].frames["rgb"].copy())
    assert torch.equal(videos.read(torch.tensor([1]), torch.arange(9)[None])[0], expected)
    assert videos.labels.offsets.tolist() == [0, 1, 2]


def test_no_usable_video_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a", labels=None)])
    with pytest.raises(DataError, match=r"no usable video in 1 shard.* 1 x it has no labels"):
        ShardVideos([path], ["rgb"], skip_bad_records=True)


@pytest.mark.parametrize("how", ["shorter", "newer", "gone"])
def test_a_shard_that_changes_while_it_is_open_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = shard(tmp_path / "a.tfrecord", [video("a")])
    videos = ShardVideos([path], ["rgb"])
    {
        "shorter": lambda: os.truncate(path, 10),
        "newer": lambda: os.utime(path, (1, 1)),
        "gone": path.unlink,
    }[how]()
    later = time.monotonic() + 5
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(DataError, match=r"a.tfrecord: the file changed after it was opened"):
        videos.read(torch.tensor([0]), torch.tensor([[0]]))


def test_the_real_youtube_8m_video_is_read(real_data: Path) -> None:
    videos = ShardVideos([real_data / "yt8m" / "one_2018_video.tfrecord"], ["rgb", "audio"])
    assert list(videos.ids) == ["SjJ3"]
    assert videos.features == {"rgb": 1024, "audio": 128}
    assert videos.lengths.tolist() == [170]
    assert videos.labels.classes.tolist() == [11]
    data = (real_data / "yt8m" / "one_2018_video.tfrecord").read_bytes()
    first = videos.read(torch.tensor([0]), torch.tensor([[0]]))[0, 0].numpy().tobytes()
    assert first[1024:] in data
    assert first[:1024] in data


def test_the_video_level_shard_is_called_that(real_data: Path) -> None:
    with pytest.raises(
        DataError, match=r"this is a video-level shard .*; distillbench needs frame-level shards"
    ):
        ShardVideos([real_data / "yt8m" / "video_level_2018.tfrecord"], ["rgb"])
