from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillbench.data.memory import scratch_arrays
from distillbench.data.memory.scratch_arrays import joined, room, steps, taken


def test_a_large_array_is_kept_in_a_file_that_leaves_no_name(cache: Path) -> None:
    pieces = [np.arange(1_000_000, dtype=np.int64), np.arange(5, dtype=np.int64)]
    kept = joined(1_000_005, np.int64, pieces)
    assert not kept.flags.owndata
    assert np.array_equal(kept, np.concatenate(pieces))
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_small_array_stays_in_memory() -> None:
    assert room(10, np.int32).flags.owndata


def test_without_room_on_the_disk_an_array_stays_in_memory(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch_arrays, "_LARGE", 1)
    (cache / "spilled").write_text("a file in the way")
    assert joined(3, np.int16, [np.array([1, 2]), np.array([3])]).tolist() == [1, 2, 3]


def test_what_is_taken_step_by_step_is_what_is_taken_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scratch_arrays, "_LARGE", 1)
    monkeypatch.setattr(scratch_arrays, "_STEP", 7)
    array = np.arange(100, dtype=np.float32)
    for count in (0, 1, 7, 50):
        places = np.random.default_rng(count).integers(0, 100, count)
        assert np.array_equal(taken(array, places), array[places])
        assert [number for step in steps(count) for number in range(step.start, step.stop)] == list(
            range(count)
        )
