from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from reporting import Make

from distillbench.results.store import Result


@pytest.fixture
def main_results(make_result: Make) -> list[Result]:
    alone = [
        make_result(schedule="scratch", selector="uniform", k=k, seed=s, knows=1.0)
        for k in (3, 6)
        for s in (0, 1)
    ]
    serial = [
        make_result(schedule="serial", loss="rep,ce,pred", k=k, seed=s, knows=1.4)
        for k in (3, 6)
        for s in (0, 1)
    ]
    return [*alone, *serial, make_result(schedule="teacher", knows=2.0)]


@pytest.fixture
def tuned_results(make_result: Make) -> list[Result]:
    return [
        make_result(schedule=schedule, seed=seed, knows=knows, tuned_arm=arm, tuned_trials=4)
        for schedule, knows, arm in (
            ("scratch", 1.0, "student alone"),
            ("serial", 2.0, "taught"),
            ("mutual", 0.6, "peers"),
        )
        for seed in (0, 1)
    ]


@pytest.fixture
def plt() -> Iterator[Any]:
    """Gives pyplot, and closes in the end what a test drew."""
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    yield pyplot
    pyplot.close("all")
