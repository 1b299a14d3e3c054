"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, `$DISTILLBENCH_DATA` or `../shared/data`; skips where there is none."""
    folder = Path(os.environ.get("DISTILLBENCH_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder} (set DISTILLBENCH_DATA)")
    return folder
