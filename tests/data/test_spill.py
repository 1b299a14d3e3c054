from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillbench.data import spill
from distillbench.data.spill import spilled


def test_a_large_array_is_kept_in_a_file_that_leaves_no_name(cache: Path) -> None:
    array = np.arange(1_000_000, dtype=np.int64).reshape(-1, 10)
    kept = spilled(array)
    assert kept is not array
    assert np.array_equal(kept, array)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_small_array_stays_where_it_is() -> None:
    array = np.arange(10)
    assert spilled(array) is array


def test_without_room_on_the_disk_an_array_stays_in_memory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_LARGE", 1)
    (cache / "spilled").write_text("a file in the way")
    array = np.arange(10)
    assert spilled(array) is array
