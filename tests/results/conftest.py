"""Made-up results for tests that only read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from results.made_up import write_result

from distillbench.results.record import Result
from distillbench.setup import Setup


@pytest.fixture
def make_result(tmp_path: Path, make_setup: Callable[..., Setup]) -> Callable[..., Result]:
    """Writes the result of a run that never was: `make_result("schedule.head=tied", knows=2.0, schedule="serial")`."""

    def make(*assignments: str, knows: float = 1.0, train: int = 64, folder: str = "results", **choices: Any) -> Result:
        setup = make_setup(*assignments, f"data.train={train}", **choices)
        return write_result(tmp_path / folder, setup, knows, train)

    return make
