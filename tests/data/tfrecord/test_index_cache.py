from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from distillbench.data import Video, indexing_progress, write_shard
from distillbench.data.tfrecord import index_cache as module
from distillbench.data.tfrecord.index_cache import shard_index, shard_indexes
from distillbench.errors import DataError


def shard(folder: Path, value: int = 1) -> Path:
    path = folder / "a.tfrecord"
    write_shard(path, [Video("v", [value], {"rgb": np.full((3, 4), value, np.uint8)})])
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The shards that were indexed, rather than their index read."""
    paths: list[Path] = []
    real = module.index_shard

    def index_shard(path: Path) -> module.ShardIndex:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(module, "index_shard", index_shard)
    return paths


def index_file(path: Path) -> Path:
    return path.with_name(".a.tfrecord.index.safetensors")


def test_an_index_is_made_once(tmp_path: Path, made: list[Path]) -> None:
    path = shard(tmp_path)
    first, second = shard_index(path), shard_index(path)
    assert made == [path]
    assert index_file(path).is_file()
    assert (first.id(0), first.content, first.columns.keys()) == (
        second.id(0),
        second.content,
        second.columns.keys(),
    )


def test_a_changed_shard_is_indexed_again(tmp_path: Path, made: list[Path]) -> None:
    shard_index(shard(tmp_path))
    assert shard_index(shard(tmp_path, 2)).labels.tolist() == [2]
    assert len(made) == 2


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, made: list[Path]) -> None:
    path = shard(tmp_path)
    shard_index(path)
    written = path.stat().st_mtime_ns
    shard(tmp_path, 2)
    os.utime(path, ns=(written, written))
    assert shard_index(path).labels.tolist() == [2]


def test_a_newer_time_alone_makes_a_new_index(tmp_path: Path, made: list[Path]) -> None:
    path = shard(tmp_path)
    shard_index(path)
    os.utime(path, ns=(1, 1))
    shard_index(path)
    assert len(made) == 2


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_index_is_made_again(tmp_path: Path, made: list[Path], place: int) -> None:
    path = shard(tmp_path)
    shard_index(path)
    data = bytearray(index_file(path).read_bytes())
    data[place] ^= 1
    index_file(path).write_bytes(data)
    assert shard_index(path).id(0) == "v"
    assert len(made) == 2


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\x02\0\0\0\0\0\0\0{}", b"[]"])
def test_a_file_that_is_no_index_is_replaced(
    tmp_path: Path, made: list[Path], content: bytes
) -> None:
    path = shard(tmp_path)
    index_file(path).write_bytes(content)
    shard_index(path)
    shard_index(path)
    assert len(made) == 1


def test_an_index_of_another_format_is_made_again(
    tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard(tmp_path)
    shard_index(path)
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    shard_index(path)
    assert len(made) == 2


def test_beside_a_read_only_shard_nothing_is_written(
    tmp_path: Path, cache: Path, made: list[Path]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = shard(folder)
    folder.chmod(0o555)
    try:
        shard_index(path)
        shard_index(path)
    finally:
        folder.chmod(0o755)
    assert len(made) == 1
    assert [each.name for each in folder.iterdir()] == ["a.tfrecord"]
    assert len(list(cache.rglob("*.safetensors"))) == 1


def test_a_full_disk_costs_the_index_but_not_the_run(
    tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = shard(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert shard_index(path).id(0) == "v"
    assert [each.name for each in tmp_path.iterdir()] == ["a.tfrecord"]


def test_nothing_is_kept_of_a_file_without_videos(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"no shard at all")
    assert len(shard_index(path).bad) == 1
    assert not index_file(path).exists()


def test_bad_records_are_remembered(tmp_path: Path, made: list[Path]) -> None:
    path = shard(tmp_path)
    path.write_bytes(path.read_bytes() + b"rest")
    assert shard_index(path).bad == shard_index(path).bad
    assert len(made) == 1


def test_progress_is_told_of_every_shard(tmp_path: Path) -> None:
    paths = []
    for name in "abc":
        (tmp_path / name).mkdir()
        paths.append(shard(tmp_path / name))
    told: list[tuple[int, int]] = []
    with indexing_progress(lambda done, total: told.append((done, total))):
        shard_indexes(paths)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_error_of_any_shard_is_raised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone"):
        shard_indexes([shard(tmp_path), tmp_path / "gone.tfrecord"])
