"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run on every core already; read when torch is imported, and by processes that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from results.made_up import write_result

from distillbench.cli import main
from distillbench.config.layers import flags
from distillbench.config.resolve import specs
from distillbench.config.run_spec import RunSpec
from distillbench.registry.discovery import Registry, discover
from distillbench.results.store import Result

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, `$DISTILLBENCH_DATA` or `../shared/data`; skips where there is none."""
    folder = Path(os.environ.get("DISTILLBENCH_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder} (set DISTILLBENCH_DATA)")
    return folder


TINY = [
    "data.train=64",
    "data.validation=24",
    "data.test=32",
    "data.frames=12",
    "teacher.cell_size=8",
    "student.cell_size=8",
    "training.epochs=2",
    "training.batch_size=16",
]
"""Settings with which a run on digits takes a second."""


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Everything that is installed."""
    return discover()


@pytest.fixture(scope="session")
def make_spec(registry: Registry) -> Callable[..., RunSpec]:
    """Makes a tiny setup on digits: `make_setup("training.epochs=3", k=4, schedule="parallel")`."""

    def make(*assignments: str, **choices: object) -> RunSpec:
        return specs([flags({"k": 4, **choices}, [*TINY, *assignments])], registry)[0]

    return make


@pytest.fixture
def make_result(tmp_path: Path, make_spec: Callable[..., RunSpec]) -> Callable[..., Result]:
    """Writes the result of a run that never was: `make_result("schedule.head=tied", knows=2.0, schedule="serial")`."""

    def make(
        *assignments: str,
        knows: float = 1.0,
        train: int = 64,
        folder: str = "results",
        **choices: Any,
    ) -> Result:
        spec = make_spec(*assignments, f"data.train={train}", **choices)
        return write_result(tmp_path / folder, spec, knows, train)

    return make


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process: (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["distillbench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def tiny() -> list[str]:
    """The flags of a run on digits that takes a second."""
    return ["--k", "4", *(word for assignment in TINY for word in ("--set", assignment))]


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_reaches_processes() -> Iterator[None]:
    """In the background of a shell SIGINT is ignored, which processes that tests start would inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _short_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times a network twice instead of for a second: tests look at what is reported, never at how fast it is."""
    monkeypatch.setattr("distillbench.evaluation.latency._FEWEST", 2)
    monkeypatch.setattr("distillbench.evaluation.latency._SECONDS", 0.0)
