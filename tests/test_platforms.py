"""What works where Linux's own calls are missing: macOS has no such calls, Windows fewer still."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from distillbench import machine, storage
from distillbench.data import Recipe, ShardSource, write_synthetic
from distillbench.data.memory import libc, prefetch, scratch_arrays
from distillbench.data.memory.threads import in_shares
from distillbench.errors import DataError
from distillbench.storage import remove_drafts, replacing, write_text

_IMPORTS = """
import ctypes, importlib, mmap, os, pkgutil, sys

def all_modules():
    import distillbench, distillbench_plugins
    for package in (distillbench, distillbench_plugins):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)

all_modules()  # what others import here is theirs
for name in [name for name in sys.modules if name.partition(".")[0].startswith("distillbench")]:
    del sys.modules[name]
class Windows(ctypes.CDLL):
    def __init__(self, name, *given, **more):
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        super().__init__(name, *given, **more)
ctypes.CDLL = Windows
sys.modules["fcntl"] = sys.modules["resource"] = None
for module, name in ((os, "sched_getaffinity"), (os, "posix_fallocate"), (mmap, "MAP_PRIVATE"), (mmap, "PROT_READ")):
    delattr(module, name)
all_modules()
"""


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardSource:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shards"
    folder.mkdir()
    write_synthetic(folder, Recipe(videos=60, widths={"rgb": 4}, longest=9), shards=2)
    return ShardSource(dir=str(folder), features="rgb")


def test_every_module_can_be_imported_where_there_is_nothing_of_unix() -> None:
    subprocess.run(
        [sys.executable, "-c", _IMPORTS], check=True, env={**os.environ, "PYTHONPATH": _path()}
    )


def _path() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry)


def test_without_linuxs_own_calls_shards_are_read_all_the_same(
    shards: ShardSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos, frames = torch.arange(5), torch.zeros(5, 1, dtype=torch.int64)
    before = shards.splits().train.read(videos, frames)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    monkeypatch.delattr("resource.RUSAGE_THREAD", raising=False)
    monkeypatch.setattr(scratch_arrays, "_LARGE", 1)
    assert torch.equal(shards.splits().train.read(videos, frames), before)


def test_where_files_cannot_be_mapped_the_user_is_told(
    shards: ShardSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libc, "_library", lambda: None)
    with pytest.raises(
        DataError, match="cannot map files into memory as reading shards needs; use Linux or macOS"
    ):
        shards.splits()


def test_without_a_call_that_reserves_the_disk_a_large_array_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path))
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    kept = scratch_arrays.room(3_000_001, np.uint8)
    assert not kept.flags.owndata
    assert not kept.any()
    kept[:] = 7
    assert kept.sum() == 21_000_007


def test_without_a_call_that_reserves_the_disk_a_full_one_is_noticed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILLBENCH_CACHE", str(tmp_path))
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1 << 20, before[1])
    )  # a write beyond it fails, as on a full disk
    try:
        kept = scratch_arrays.room(3_000_001, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept.flags.owndata, "it stays in memory"


def test_blocks_that_were_read_are_counted_as_well_as_the_system_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("resource.RUSAGE_THREAD", raising=False)
    assert prefetch._blocks_read() >= 0
    monkeypatch.setattr(prefetch, "resource", None)
    assert prefetch._blocks_read() == 0


def test_where_a_process_cannot_be_tied_to_cores_all_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert machine.cores() == 3
    seen: list[slice] = []
    in_shares(seen.append, 100, 1 << 30)
    assert sorted(row for share in seen for row in range(100)[share]) == list(range(100))
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert machine.cores() == 1


def test_without_locks_files_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "fcntl", None)
    write_text(tmp_path / "a.json", "old")

    def stop_half_way() -> None:
        with replacing(tmp_path / "a.json") as draft:
            draft.write_text("half")
            remove_drafts(tmp_path)
            assert draft.is_file(), "it is new, so somebody may be at work on it"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "old")]
    write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "new"
    left = tmp_path / ".a.json.a1b2c3d4.tmp"
    left.mkdir()
    os.utime(left, (time.time() - 90_000,) * 2)
    remove_drafts(tmp_path)
    assert not left.exists()
