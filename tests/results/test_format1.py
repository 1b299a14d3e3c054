"""Results of format 1, written by the first edition (tests/results/format1), load, list and compare as ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from running import metrics

from distillbench.analysis.loading import load
from distillbench.analysis.significance import values_of
from distillbench.results.format1 import upgraded

FOLDER = Path(__file__).resolve().parent / "format1"
Command = Callable[..., tuple[int, str, str]]


def test_every_result_and_failure_is_loaded() -> None:
    found = load([FOLDER])
    assert found.skipped == ()
    assert len(found.results) == 6
    assert [failure.status for failure in found.failures] == ["not applicable"]
    assert all(json.loads(path.read_text())["format"] == 1 for path in FOLDER.glob("*.json"))
    assert all(result.content["format"] == 2 for result in found.results)


def test_columns_of_plugins_become_metrics_and_what_is_damaged_stays() -> None:
    found = upgraded(
        {"format": 1, "metrics": {"gap": 0.5}, "columns": {"mine": 0.1, "gap": 0.2}, "data": {}}
    )
    assert found["metrics"] == {"mine": 0.1, "gap": 0.5}
    assert "columns" not in found
    assert found["format"] == 2
    assert upgraded({"metrics": 3, "columns": "x", "data": []}) == {
        "metrics": 3,
        "columns": "x",
        "data": [],
        "format": 2,
    }


def test_they_stand_on_the_board_with_what_they_found(command: Command) -> None:
    code, out, err = command("leaderboard", FOLDER, "--each", "--format", "json")
    assert (code, err) == (0, "")
    rows = {row["run"]: row for row in json.loads(out)}
    assert len(rows) == 7
    for path in FOLDER.glob("*.json"):
        stored = json.loads(path.read_text())
        row = rows[stored["id"]]
        assert row["gap"] == stored["metrics"]["gap"]
        assert row["macs"] == stored["cost"]["macs"]
        assert row["gap_low"] < row["gap"] < row["gap_high"]


def test_they_are_compared(command: Command) -> None:
    sides = ("--a", "schedule=serial", "--b", "schedule=scratch", "--where", "precision=fp32")
    code, out, err = command(
        "compare", "--results", FOLDER, *sides, "--resamples", "100", "--format", "json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["videos"] == 32
    assert found["differences"]["gap"]["paired_seeds"] == 2


@pytest.mark.parametrize("metric", ["gap", "map_at_20"])
def test_their_predictions_and_labels_give_intervals(metric: str) -> None:
    assert all(
        values_of([result], metric) is not None for result in load([FOLDER], metrics()).results
    )


def test_they_fill_the_tables_and_are_shown(command: Command) -> None:
    for table in ("table1", "table4"):
        code, out, _ = command("report", table, "--results", FOLDER, "--format", "csv")
        assert (code, len(out.splitlines()) > 1) == (0, True)
    code, out, _ = command("show", "63dd8454851b", "--results", FOLDER)
    assert code == 0
    assert "63dd8454851b" in out
