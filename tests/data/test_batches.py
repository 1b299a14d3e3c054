from __future__ import annotations

import pytest
import torch

from distillbench.data import Recipe, ShardVideos, write_synthetic
from distillbench.data.batches import Batch, View, batches, every
from distillbench.interfaces import NO_FRAME, ClipGenerator, Clips, FrameSelector, Videos

WIDTHS = {"rgb": 24, "audio": 8}


class Some(FrameSelector):
    """Every `step`-th frame."""

    def __init__(self, step: int) -> None:
        self.step = step

    def select(
        self, lengths: torch.Tensor, scanned: Clips | None, generator: ClipGenerator, training: bool
    ) -> torch.Tensor:
        return every(lengths, self.step)


VIEWS = {
    name: View(Some(step), 4, 0, training=False)
    for name, step in {"teacher": 1, "student": 3}.items()
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ShardVideos:
    recipe = Recipe(videos=60, widths=WIDTHS, classes=7, longest=30, seed=3)
    return ShardVideos(write_synthetic(tmp_path_factory.mktemp("shards"), recipe), list(WIDTHS))


def expected(videos: Videos, batch: Batch) -> dict[str, torch.Tensor]:
    return {name: videos.read(batch.videos, clips.times) for name, clips in batch.clips.items()}


def test_batches_hold_what_is_read_whether_they_are_kept_or_dropped(videos: ShardVideos) -> None:
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    kept = []
    for number, batch in enumerate(batches(videos, order, 7, VIEWS)):
        if number % 3 == 0:
            kept.append(batch)
        for name, frames in expected(videos, batch).items():
            assert torch.equal(batch.clips[name].frames, frames)
    assert len(kept) == 3
    for batch in kept:
        for name, frames in expected(videos, batch).items():
            assert torch.equal(batch.clips[name].frames, frames)


def test_every_video_comes_once_and_in_order(videos: ShardVideos) -> None:
    order = torch.randperm(60)
    for size in (7, 30, 60, 100):
        found = [batch.videos for batch in batches(videos, order, size, VIEWS)]
        assert torch.equal(torch.cat(found), order)
        assert torch.equal(torch.cat([torch.empty(0, dtype=torch.int64), *found[1:]]), order[size:])
    skipped = batches(videos, order, 7, VIEWS, skip=3)
    assert torch.equal(next(skipped).videos, order[21:28])


def test_an_epoch_of_dropped_batches_needs_few_buffers(videos: ShardVideos) -> None:
    order = torch.arange(60)
    places = {
        batch.clips["student"].frames.data_ptr() for batch in batches(videos, order, 2, VIEWS)
    }
    assert len(places) < 12, (
        "30 batches were read; growing buffers and 4 batches alive at once explain no more"
    )


class Floating(Videos):
    """Videos that store floating point and take no buffer."""

    def __init__(self, videos: Videos) -> None:
        self.of = videos
        self.ids, self.lengths, self.labels = videos.ids, videos.lengths, videos.labels
        self.features, self.class_names, self.codec = (
            videos.features,
            videos.class_names,
            videos.codec,
        )

    def read(
        self, videos: torch.Tensor, frames: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        assert out is None or out.dtype == torch.float32
        found = self.of.read(videos, frames).float()
        return found if out is None else out.copy_(found)


def test_a_data_set_of_another_type_is_read_as_that_type(videos: ShardVideos) -> None:
    for batch in batches(Floating(videos), torch.arange(60), 16, VIEWS):
        for name, frames in expected(videos, batch).items():
            assert torch.equal(batch.clips[name].frames, frames.float())
            assert (batch.clips[name].frames[batch.clips[name].times == NO_FRAME] == 0).all()


def test_an_error_of_the_reader_reaches_the_consumer(
    videos: ShardVideos, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = batches(videos, torch.arange(60), 4, VIEWS)
    next(source)

    def fail(*_: object) -> torch.Tensor:
        raise OSError("the disk is gone")

    monkeypatch.setattr(videos, "read", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        list(source)
