from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from data.remote.conftest import TRIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_server import Server, serving

from distillbench.data import (
    Recipe,
    ShardSource,
    ShardVideos,
    Video,
    find_shards,
    pack,
    write_shard,
    write_synthetic,
)
from distillbench.data.remote import block_cache, remote_files
from distillbench.data.remote.block_cache import block_cache as caching
from distillbench.errors import DataError
from distillbench.interfaces import NO_FRAME, Splits, Videos

FEATURES = ["rgb", "audio"]
NAMES = ("train", "validation", "test")


def everything(videos: Videos) -> torch.Tensor:
    index = torch.arange(int(videos.lengths.max())).expand(len(videos), -1)
    index = index.masked_fill(index >= videos.lengths[:, None], NO_FRAME)
    return videos.read(torch.arange(len(videos)), index)


def opened(url: str, budget: int = 10**8) -> ShardVideos:
    with caching("", budget):
        return ShardVideos(find_shards(url), FEATURES)


def assert_same(one: Splits, other: Splits) -> None:
    for name in NAMES:
        a, b = getattr(one, name), getattr(other, name)
        assert list(a.ids) == list(b.ids)
        assert a.fingerprint == b.fingerprint
        assert a.class_names == b.class_names
        assert torch.equal(everything(a), everything(b))


def credentials(server: Server, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Has the libraries of buckets find the tests' server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SESAME")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    about = (
        f'{{"gcs_base_url": "{server.url}", "disable_oauth": true, "client_email": "",'
        ' "private_key": "", "private_key_id": ""}'
    )
    (folder / "account.json").write_text(about)
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(folder / "account.json"))


@pytest.mark.parametrize("scheme", ["http", "s3", "gs"])
def test_shards_by_url_are_the_shards_of_the_folder(
    scheme: str, server: Server, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials(server, monkeypatch, tmp_path)
    url = server.url if scheme == "http" else f"{scheme}://bucket"
    here = ShardSource(dir=str(shards), features="rgb,audio").splits()
    assert_same(here, ShardSource(dir=url, features="rgb,audio").splits())


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), is_cached=st.booleans())
def test_any_batch_has_the_bytes_of_local_reading(
    data: st.DataObject,
    is_cached: bool,
    server: Server,
    shards: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block_cache, "BLOCK", 512)
    monkeypatch.setattr(remote_files, "BLOCK", 512)
    monkeypatch.setattr(remote_files, "_LARGEST", 2048)
    monkeypatch.setattr(remote_files, "_GAP", data.draw(st.sampled_from([-1, 0, 1000])))
    here = ShardVideos(find_shards(str(shards)), FEATURES)
    away = opened(server.url, 20_000 if is_cached else 0)  # less than the shards have
    for _ in range(3):
        which = torch.tensor(data.draw(st.lists(st.integers(0, 79), min_size=1, max_size=12)))
        slots = data.draw(st.integers(1, 12))
        rows = []
        for video in which.tolist():
            length = int(here.lengths[video])
            some = data.draw(st.lists(st.integers(0, length - 1), max_size=slots, unique=True))
            if data.draw(st.booleans()):  # a run
                some = list(range(min(length, slots)))
            rows.append(sorted(some) + [NO_FRAME] * (slots - len(some)))
        frames = torch.tensor(rows)
        assert torch.equal(here.read(which, frames), away.read(which, frames))


def test_frames_that_are_not_encoded_alike_are_read_by_url(own: Server) -> None:
    frames = np.arange(300 * 4, dtype=np.uint8).reshape(300, 4) % 250
    path = own.folder / "a.tfrecord"
    write_shard(path, [Video("v", [0], {"rgb": frames}), Video("w", [1], {"rgb": frames[:1]})])
    away = ShardVideos(find_shards(f"{own.url}/a.tfrecord"), ["rgb"])
    assert torch.equal(everything(away), everything(ShardVideos([path], ["rgb"])))


def test_a_shard_is_streamed_once_and_then_in_the_caches(server: Server) -> None:
    size = sum(each.stat().st_size for each in server.folder.glob("*.tfrecord"))
    first = opened(server.url)
    everything(first)
    requests = server.of_files()
    assert len(requests) == 2  # one for each shard: they are small
    assert size <= server.sent < size + 2000
    everything(opened(server.url))
    assert server.of_files() == requests


def test_without_a_cache_each_video_is_one_range(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "_GAP", 0)
    away = opened(server.url, budget=0)
    server.requests.clear()
    which = torch.tensor([3, 50, 20])
    away.read(which, torch.zeros(3, 1, dtype=torch.int64))
    assert len(server.of_files()) == 3


def test_videos_that_lie_behind_one_another_are_one_range(server: Server) -> None:
    away = opened(server.url, budget=0)
    server.requests.clear()
    away.read(torch.arange(40), torch.zeros(40, 1, dtype=torch.int64))
    assert len(server.of_files()) == 1


@pytest.mark.parametrize("fault", ["500", "503", "429", "reset", "truncated"])
def test_what_fails_once_is_tried_again(fault: str, server: Server, shards: Path) -> None:
    server.faults += [fault] * (TRIES - 1)
    here = ShardVideos(find_shards(str(shards)), FEATURES)
    away = opened(server.url, budget=0)
    server.faults += [fault] * (TRIES - 1)
    assert torch.equal(everything(away), everything(here))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("500", "the server answered with status 500"),
        ("reset", "the connection was reset|ended before an answer"),
        ("truncated", "the connection ended in the middle"),
        ("slow", "the server did not answer in time"),
    ],
)
def test_what_fails_always_ends_with_the_shard_the_reason_and_the_tries(
    fault: str, why: str, server: Server
) -> None:
    server.faults += [fault] * 100
    with pytest.raises(DataError, match=rf"000\d.tfrecord: cannot be read: ({why}); tried 3 times"):
        opened(server.url)


def test_a_server_that_goes_away_ends_reading_clearly(shards: Path) -> None:
    with serving(shards) as server:
        away = opened(server.url, budget=0)
    with pytest.raises(DataError) as raised:
        everything(away)
    text = str(raised.value)
    assert f"{server.url}/synthetic000" in text
    assert "nothing answers there (connection refused); tried 3 times in" in text
    assert "the same command goes on" in text
    assert raised.value.__context__ is None  # the library's own error is told nowhere


def test_a_client_error_is_not_tried_again(server: Server) -> None:
    server.faults += ["418"]
    with pytest.raises(DataError, match="the server answered with status 418"):
        opened(f"{server.url}/synthetic0000.tfrecord")
    assert len(server.of_files()) == 1


def test_a_server_without_ranges_is_an_error(server: Server) -> None:
    server.ranges = False
    with pytest.raises(DataError, match="does not serve parts of files"):
        opened(server.url)


def shard(folder: Path, value: int, name: str = "a") -> None:
    frames = np.full((50, 16), value, np.uint8)
    videos = [
        Video(f"{name}{number}", [0], {"rgb": frames, "audio": frames}) for number in range(3)
    ]
    write_shard(folder / f"{name}.tfrecord", videos)


def test_an_object_that_changes_while_it_is_open_is_noticed(own: Server) -> None:
    shard(own.folder, 1)
    away = opened(own.url, budget=0)
    shard(own.folder, 2)  # as long as before
    with pytest.raises(DataError, match="the file changed after it was opened"):
        everything(away)


@pytest.mark.parametrize("tells", ["etags", "times", "neither"])
def test_an_object_that_changed_is_indexed_again_and_never_mixed(tells: str, own: Server) -> None:
    own.etags, own.times = tells == "etags", tells == "times"
    path = own.folder / "a.tfrecord"
    shard(own.folder, 1)
    os.utime(path, (1, 1))
    assert set(everything(opened(own.url)).flatten().tolist()) == {1}
    shard(own.folder, 2)
    os.utime(path, (5, 5))
    changed = opened(own.url)
    assert set(everything(changed).flatten().tolist()) == {2}


def test_what_no_version_tells_apart_is_not_kept(own: Server, cache: Path) -> None:
    own.etags = own.times = False
    shard(own.folder, 1)
    everything(opened(own.url))
    assert [each for each in cache.rglob("*") if each.is_file()] == []


def test_an_object_that_shrinks_or_goes_is_noticed(own: Server) -> None:
    shard(own.folder, 1)
    away = opened(own.url, budget=0)
    path = own.folder / "a.tfrecord"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"shorter than it was|the file changed"):
        everything(away)
    path.unlink()
    with pytest.raises(DataError, match="was there and cannot be read now: there is no such file"):
        everything(away)


def test_an_empty_or_damaged_shard_is_what_it_is_locally(own: Server) -> None:
    (own.folder / "empty.tfrecord").touch()
    with pytest.raises(DataError, match="the file is empty"):
        opened(f"{own.url}/empty.tfrecord")
    (own.folder / "none.tfrecord").write_bytes(b"no shard at all, but some text")
    with pytest.raises(DataError, match="not a TFRecord file"):
        opened(f"{own.url}/none.tfrecord")


def test_packed_shards_are_read_by_url(own: Server, tmp_path: Path) -> None:
    recipe = Recipe(videos=60, widths={"rgb": 8}, longest=5, classes=4)
    (tmp_path / "raw").mkdir()
    write_synthetic(tmp_path / "raw", recipe, shards=1)
    pack(ShardSource(dir=str(tmp_path / "raw"), features="rgb").splits(), own.folder / "packed")
    here = ShardSource(dir=str(own.folder / "packed"), features="", normalise="as-packed").splits()
    away = ShardSource(dir=f"{own.url}/packed", features="", normalise="as-packed").splits()
    assert_same(here, away)


def test_shards_here_and_by_url_do_not_mix(own: Server) -> None:
    shard(own.folder, 1, "a")
    shard(own.folder, 2, "b")
    source = ShardSource(
        train=str(own.folder / "a.tfrecord"), test=f"{own.url}/b.tfrecord", features="rgb"
    )
    with pytest.raises(DataError, match="give shards of one kind"):
        source.splits()
