from __future__ import annotations

import errno
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from distillbench.data.remote import block_cache
from distillbench.data.remote.block_cache import BlockCache

FILE = "ab" * 16
DATA = memoryview(bytes(range(200)))


def got(cache: BlockCache, block: int, file: str = FILE) -> bytes | None:
    into = bytearray(len(DATA))
    return bytes(into) if cache.read(file, block, 0, memoryview(into)) else None


def blocks(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*-*") if each.is_file())


def test_a_block_is_what_was_kept_in_this_process_and_others(tmp_path: Path) -> None:
    BlockCache(tmp_path, 10_000).keep(FILE, 3, DATA)
    cache = BlockCache(tmp_path, 10_000)
    assert got(cache, 3) == bytes(DATA)
    assert got(cache, 4) is None
    assert got(cache, 3, "cd" * 16) is None
    part = bytearray(5)
    assert cache.read(FILE, 3, 10, memoryview(part))
    assert bytes(part) == bytes(DATA[10:15])
    assert not cache.read(FILE, 3, 198, memoryview(part))  # beyond its end


def test_the_least_recently_used_blocks_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_cache, "_TOUCHED", 0.0)
    cache = BlockCache(tmp_path, 2000)  # room for nine
    for number in range(9):
        cache.keep(FILE, number, DATA)
    for place in blocks(tmp_path):
        age = 100 - int(place.name.rpartition("-")[2], 16)
        os.utime(place, (time.time() - age, time.time() - age))
    assert got(cache, 0) == bytes(DATA)  # used again
    cache.keep(FILE, 9, DATA)
    assert got(cache, 0) is not None
    assert got(cache, 1) is None
    assert got(cache, 9) is not None
    assert sum(each.stat().st_size for each in blocks(tmp_path)) <= 2000


def test_blocks_stay_where_no_room_is_to_be_made(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path, 500)
    for number in range(5):
        cache.keep(FILE, number, DATA, make_room=False)
    assert [got(cache, number) is not None for number in range(5)] == [True, True] + [False] * 3


def test_a_block_larger_than_the_budget_is_not_kept(tmp_path: Path) -> None:
    BlockCache(tmp_path, 100).keep(FILE, 0, DATA)
    assert blocks(tmp_path) == []


@pytest.mark.parametrize("damage", ["flipped", "torn", "empty"])
def test_a_damaged_block_is_as_none(damage: str, tmp_path: Path) -> None:
    BlockCache(tmp_path, 10_000).keep(FILE, 0, DATA)
    (place,) = blocks(tmp_path)
    data = bytearray(place.read_bytes())
    if damage == "flipped":
        data[7] ^= 1
    place.write_bytes(data if damage == "flipped" else data[:90] if damage == "torn" else b"")
    cache = BlockCache(tmp_path, 10_000)
    assert got(cache, 0) is None
    cache.keep(FILE, 0, DATA)
    assert got(cache, 0) == bytes(DATA)


def test_a_full_disk_costs_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_place: Path, _data: memoryview) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = BlockCache(tmp_path, 10_000)
    with monkeypatch.context() as patched:
        patched.setattr(block_cache, "_write", full)
        cache.keep(FILE, 0, DATA)
    assert got(cache, 0) is None
    cache.keep(FILE, 0, DATA)  # not tried again for a while
    assert got(cache, 0) is None
    monkeypatch.setattr(cache, "_resumes", 0.0)
    cache.keep(FILE, 0, DATA)
    assert got(cache, 0) == bytes(DATA)


def test_a_folder_that_cannot_be_one_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = BlockCache(tmp_path / "file" / "blocks", 10_000)
    cache.keep(FILE, 0, DATA)
    assert got(cache, 0) is None


def test_what_killed_writers_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("new", 10)):
        draft = tmp_path / "ab" / f"{name}.draft"
        draft.parent.mkdir(exist_ok=True)
        draft.write_bytes(b"half")
        os.utime(draft, (time.time() - age, time.time() - age))
    (tmp_path / "notes.txt").write_text("the user's own")
    BlockCache(tmp_path, 300).keep(FILE, 0, DATA)
    BlockCache(tmp_path, 300).keep(FILE, 1, DATA)
    assert sorted(each.name for each in (tmp_path / "ab").iterdir()) == [
        f"{FILE}-000001",
        "new.draft",
    ]
    assert (tmp_path / "notes.txt").exists()


def use(folder: Path, budget: int, name: str) -> None:
    """Reads blocks, and keeps those that are not there; each must be what it was."""
    cache = BlockCache(folder, budget)
    for _ in range(3):
        for block in range(60):
            data = bytes([block]) * (500 + block)
            into = bytearray(len(data))
            if cache.read(name, block, 0, memoryview(into)):
                assert bytes(into) == data, block
            else:
                cache.keep(name, block, memoryview(data))


def assert_kept_well(folder: Path, budget: int) -> None:
    used = sum(each.stat().st_size for each in blocks(folder))
    assert budget / 2 < used <= budget * 1.1
    assert not list(folder.rglob("*.draft"))


SHARERS = ("ab" * 16, "ab" * 16, "cd" * 16)
BUDGET = 20_000  # a third of what each writes


def test_caches_share_a_folder_and_its_budget(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: use(tmp_path, BUDGET, name), SHARERS))
    assert_kept_well(tmp_path, BUDGET)


@pytest.mark.slow
def test_processes_share_a_folder_and_its_budget(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(use, [tmp_path] * 3, [BUDGET] * 3, SHARERS))
    assert_kept_well(tmp_path, BUDGET)
