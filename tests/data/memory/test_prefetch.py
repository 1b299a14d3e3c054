from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from distillbench.data import ShardVideos, Video, write_shard
from distillbench.data.batches import every
from distillbench.data.memory import prefetch
from distillbench.interfaces import NO_FRAME

STEPS = (1, 2, 40)


class Disk:
    """A count of blocks read that goes up by what is set."""

    def __init__(self) -> None:
        self.read, self.each = 0, 0

    def __call__(self) -> int:
        self.read += self.each
        return self.read


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(prefetch, "_blocks_read", disk)
    return disk


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("shards") / "a.tfrecord"
    lengths = rng.integers(1, 90, 20).tolist()
    write_shard(
        path,
        (
            Video(
                f"v{number}",
                [0],
                {
                    name: rng.integers(0, 256, (length, width), dtype=np.uint8)
                    for name, width in (("rgb", 999), ("audio", 77))
                },
            )
            for number, length in enumerate(lengths)
        ),
    )
    return path


def asked(ahead: prefetch.Prefetcher, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    seen: list[np.ndarray] = []
    ask = ahead._ask
    monkeypatch.setattr(ahead, "_ask", lambda stretches: (seen.append(stretches), ask(stretches)))
    return seen


def test_a_cold_disk_changes_no_byte(path: Path, disk: Disk) -> None:
    warm, cold = (ShardVideos([path], ["rgb", "audio"]) for _ in range(2))
    order = torch.randperm(len(warm))
    for step in STEPS:
        times = every(warm.lengths[order], step)
        disk.each = 0
        expected = warm.read(order, times)
        disk.each = 8
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(5):
            assert torch.equal(cold.read(order, times), expected)


def test_every_wanted_byte_is_asked_for_and_lies_in_the_files(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.each = 8
    videos = ShardVideos([path], ["rgb", "audio"])
    stretches = asked(videos._bytes.ahead, monkeypatch)
    order = torch.randperm(len(videos))
    for step in STEPS:
        for _ in range(4):
            times = every(videos.lengths[order], step)
            videos.read(order, times)
            covered = np.zeros(path.stat().st_size + 1, np.int64)
            for first, stop in stretches.pop():
                assert 0 <= first < stop <= path.stat().st_size
                covered[first:stop] = 1
            for feature in videos._features:
                rows, places = np.nonzero(times.numpy() != NO_FRAME)
                for start in feature.starts(order.numpy()[rows], times.numpy()[rows, places]):
                    assert covered[start : start + feature.width].all()


def test_a_warm_disk_is_not_asked(path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = ShardVideos([path], ["rgb"])
    stretches = asked(videos._bytes.ahead, monkeypatch)
    for blocks, expected in ((0, 1), (0, 1), (8, 1), (8, 2), (0, 3), (0, 3)):
        disk.each = blocks
        videos.read(torch.arange(3), torch.zeros(3, 1, dtype=torch.int64))
        assert len(stretches) == expected


def test_the_faster_way_is_found_and_the_other_is_tried_again() -> None:
    seen = prefetch._Seen()
    ways = {"frames": np.zeros((0, 2), np.int64), "spans": np.zeros((0, 2), np.int64)}
    chosen = []
    for _ in range(2 * prefetch._AGAIN + 2):
        way = seen.choose(ways)
        seen.seconds[way], seen.batches = {"frames": 2.0, "spans": 1.0}[way], seen.batches + 1
        chosen.append(way)
    assert chosen[:3] == ["frames", "spans", "spans"]
    assert chosen.count("frames") == 3
    assert seen.choose({"spans": ways["spans"]}) == "spans"
