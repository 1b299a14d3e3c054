"""The leaderboard for eyes: it fits, says what it leaves out, and explains its marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillbench.analysis.leaderboard import over_seeds
from distillbench.analysis.rows import frame
from distillbench.analysis.significance import with_intervals
from distillbench.cli.render.table import short_keys, show
from distillbench.errors import ConfigError
from distillbench.results.store import Result

Make = Callable[..., Result]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def board(make_result: Make, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Prints the board of a teacher and of two students with two seeds each."""
    results = [make_result(schedule="teacher", knows=2.0)]
    results += [
        make_result(schedule=name, seed=seed) for name in ("scratch", "serial") for seed in range(2)
    ]

    def printed(form: str = "table", **given: Any) -> str:
        rows = over_seeds(frame(results))
        show(with_intervals(rows, results, "gap", rows.index), form, **given)
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize("width", [45, 60, 80, 100, 160])
def test_a_table_is_as_wide_as_it_may_be_and_names_what_it_leaves_out(
    board: Callable[..., str], width: int
) -> None:
    drawn = board(width=width)
    table = drawn.partition("\nleft out")[0]
    assert all(
        len(line) <= width for line in table.splitlines() if not re.match(r"[a-z†≈~]  ", line)
    )
    whole = board(width=400).splitlines()[0].split("  ")
    titles = {title.strip() for title in whole if title.strip()}
    shown = {title for title in titles if title in drawn.splitlines()[0]}
    left_out = drawn.partition("left out for lack of width: ")[2].partition(";")[0].split(", ")
    assert shown | {title for title in left_out if title} == titles


def test_what_is_too_wide_all_the_same_goes_on_in_the_next_line(board: Callable[..., str]) -> None:
    table, _, rest = board(width=24).partition("†  ")
    assert all(len(line) <= 24 for line in table.splitlines())
    assert "hrnn" in table
    assert "left out for lack of width: frames" in rest


def test_eighty_columns_show_what_is_compared(board: Callable[..., str]) -> None:
    heads = board(width=80).splitlines()[0]
    assert all(
        title in heads for title in ("run", "method", "frames", "loss", "GAP@20 ± 95 %", "MACs")
    )


def test_the_reader_chooses_columns_by_title_or_by_name(board: Callable[..., str]) -> None:
    head, _, *lines = board(names=("loss", "gap", "method", "perr", "seeds")).splitlines()
    assert re.split(r"  +", head.strip()) == ["loss", "GAP@20 ± 95 %", "method", "PERR", "seeds"]
    assert re.match(r"ce +0\.\d{4} ± 0\.\d{3}. +hrnn teacher +[\d.]+ +1", lines[0])
    assert board("csv", names=("gap", "run")).splitlines()[0] == "gap,run"
    assert [list(row) for row in json.loads(board("json", names=("k", "gap")))] == [
        ["k", "gap"]
    ] * 3


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(
    board: Callable[..., str], form: str
) -> None:
    with pytest.raises(ConfigError, match=r"--columns knows no column 'gab'.*macs"):
        board(form, names=("gab",))


def test_wide_prints_what_does_not_fit(command: Command, make_result: Make) -> None:
    folder = make_result(schedule="scratch").path.parent
    narrow = command("leaderboard", folder, "--width", "60")[1]
    wide = command("leaderboard", folder, "--wide")[1]
    assert "left out" in narrow
    assert "left out" not in wide
    assert "FLOPs" in wide
    assert command("leaderboard", folder, "--wide", "--width", "60")[0] == 2
    assert command("leaderboard", folder, "--columns", " , ")[0] == 2


def test_the_first_column_is_a_key_that_commands_take(
    command: Command, tiny: list[str], tmp_path: Path
) -> None:
    command("run", *tiny, "--schedule", "scratch", "--results", tmp_path)
    _, drawn, _ = command("leaderboard", tmp_path)
    key = drawn.splitlines()[2].split()[0]
    code, shown, _ = command("show", key, "--results", tmp_path)
    assert code == 0
    assert json.loads(command("leaderboard", tmp_path, "--format", "json")[1])[0]["run"] in shown


def test_keys_are_cut_no_shorter_than_they_can_be_told_apart() -> None:
    assert short_keys(["aaaaaa111111", "bbbbbb111111"]) == ["aaaaaa", "bbbbbb"]
    assert short_keys(["aaaaaa111111", "aaaaaa121111"]) == ["aaaaaa11", "aaaaaa12"]
    assert short_keys(["aaaaaa111111", "aaaaaa111111-int8"]) == [
        "aaaaaa111111",
        "aaaaaa111111-int8",
    ]
    assert short_keys(["aaaaaa111111"]) == ["aaaaaa"]
    assert short_keys(["aaaaaa111111", "bbbbbb111111", "aaaaaa111111-int8"]) == [
        "aaaaaa111111",
        "bbbbbb",
        "aaaaaa111111-int8",
    ]
    assert short_keys(["a", "a", "b"]) == ["a", "a", "b"]


def test_a_single_seed_is_said_to_speak_of_these_networks(board: Callable[..., str]) -> None:
    drawn = board(width=200)
    teacher = next(line for line in drawn.splitlines() if "hrnn teacher" in line)
    assert "†" in teacher
    assert "≈" not in teacher
    assert "†  one seed: the interval is valid for these trained networks" in drawn


def test_rows_that_may_be_the_best_are_marked(
    make_result: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        make_result(schedule=name, seed=seed) for name in ("scratch", "serial") for seed in range(3)
    ]
    rows = over_seeds(frame(results))
    show(with_intervals(rows, results, "gap", rows.index), "table", width=200)
    drawn = capsys.readouterr().out
    assert "≈" in drawn.splitlines()[2]
    assert "≈  may be the best: of as many equal rows" in drawn


def test_doubtful_latencies_and_warnings_are_explained_below(
    make_result: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    result = make_result(schedule="scratch")
    result.content["machine"]["runs_beside"] = 1
    result.content["warnings"].append("a [red]warning[/x]; it goes on")
    result.content["history"][-1]["networks"]["student"]["best"] = 2
    show(frame([result]), "table", width=200)
    drawn = capsys.readouterr().out
    assert "~1.00 ms" in drawn
    assert "~  measured while something else may have slowed the machine down" in drawn
    assert "a  a [red]warning[/x]; it goes on\n" in drawn
    assert "b  still improving" in drawn
    assert drawn.splitlines()[2].rstrip().endswith("a,b")
    show(frame([result]), "markdown")
    assert "\na a [red]warning[/x]; it goes on" in capsys.readouterr().out


def test_programs_get_every_column_and_no_formula(
    make_result: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    result = make_result(schedule="scratch")
    result.content["preset"] = "=HYPERLINK(1)"  # type: ignore[index]
    show(frame([result]), "csv")
    text = capsys.readouterr().out
    assert "'=HYPERLINK(1)" in text
    assert "latency_doubtful" in text
