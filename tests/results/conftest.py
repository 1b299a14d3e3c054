"""A folder of results made up, for what reads results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from results.made_up import write_result

from distillbench.config.run_spec import RunSpec
from distillbench.results import failures


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, make_spec: Callable[..., RunSpec]) -> Path:
    """A folder of seven results and one failure, which tests copy."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for k in (3, 6):
        for seed in (0, 1):
            write_result(folder, make_spec(schedule="scratch", selector="uniform", k=k, seed=seed))
        write_result(folder, make_spec(schedule="serial", loss="rep,ce,pred", k=k), knows=1.4)
    write_result(folder, make_spec(schedule="teacher"), knows=2.0)
    failures.keep(folder, make_spec(k=5), "failed", "the disk is full")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "results"))
