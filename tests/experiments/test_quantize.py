"""Rows in 8 bits, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from running import installed, run_experiment

from distillbench.analysis.loading import load
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError
from distillbench.experiments.context import RunContext
from distillbench.experiments.quantize import quantize
from distillbench.registry.discovery import Registry
from distillbench.reports.runs import StoredRuns, networks_with
from distillbench.results.store import Result

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trained(make_spec: Callable[..., RunSpec], tmp_path: Path) -> Path:
    """A folder with one distilled student."""
    run_experiment(make_spec(schedule="serial"), RunContext(tmp_path))
    return tmp_path


def test_a_network_in_8_bits_is_a_row_of_its_own(trained: Path, command: Command) -> None:
    (source,) = load([trained]).results
    code, out, _ = command("quantize", source.id, "--results", trained)
    assert code == 0
    assert "int8" in out
    made = json.loads((trained / f"{source.id}-int8.json").read_text())
    assert made["machine"]["precision"] == "int8"
    assert made["metrics"]["gap"] == pytest.approx(source.content["metrics"]["gap"], abs=0.02)
    assert made["cost"]["macs"] == source.content["cost"]["macs"]
    assert made["cost"]["peak_memory"] < source.content["cost"]["peak_memory"]
    assert made["fidelity"] is not None
    code, out, _ = command("leaderboard", trained)
    assert "(int8)" in out
    assert len([line for line in out.splitlines() if "serial" in line]) == 2


def test_it_can_be_done_again_but_neither_of_itself_nor_by_training(
    trained: Path, command: Command, registry: Registry
) -> None:
    (source,) = load([trained]).results
    first, second = quantize(source, registry), quantize(source, registry)
    assert first.content["metrics"] == second.content["metrics"]
    with pytest.raises(ConfigError, match="in 8 bits already"):
        quantize(second, registry)
    code, _, err = command("reproduce", second.id, "--results", trained)
    assert code == 2
    assert f"distillbench quantize {source.id}" in err
    assert len(load([trained]).results) == 2


def test_the_papers_tables_leave_rows_in_8_bits_out(make_result: Callable[..., Result]) -> None:
    plain = make_result(k=3)
    small = Result(
        plain.path, {**plain.content, "machine": {**plain.content["machine"], "precision": "int8"}}
    )
    assert len(StoredRuns([plain, small], networks_with(installed())).rows) == 1


def test_the_papers_tables_leave_rows_of_exported_files_out(
    make_result: Callable[..., Result],
) -> None:
    plain = make_result(k=3)
    exported = Result(plain.path, {**plain.content, "exported_from": plain.id})
    assert len(StoredRuns([plain, exported], networks_with(installed())).rows) == 1
    with pytest.raises(ConfigError, match=f"is an exported file's row; quantize {plain.id}"):
        quantize(exported, installed())
