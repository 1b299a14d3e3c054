"""The board of all methods is written from the results that are at hand, and keeps its other rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import zoo_board

BOARD = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "zoo" / "board.csv"


def test_the_board_that_is_committed_is_as_it_would_be_written(tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    shutil.copy(BOARD, board)
    zoo_board.write(board, {}, zoo_board.read(board))
    assert board.read_text() == BOARD.read_text()


def test_a_row_that_was_measured_replaces_that_of_its_arm_in_the_same_section(
    tmp_path: Path,
) -> None:
    board = tmp_path / "board.csv"
    rest = [""] * (len(zoo_board.COLUMNS) - 4)
    rows = {
        "alone": ("alone", "control", 3, "0.8000", *rest),
        "b": ("b", "loss", 3, "0.8500", *rest),
        "a": ("a", "loss", 3, "0.9000", *rest),
    }
    zoo_board.write(board, rows, zoo_board.read(board))
    assert [line.split(",")[0] for line in board.read_text().splitlines()] == [
        *("arm", "alone", "a", "b")
    ]
    zoo_board.write(board, {"b": ("b", "head", 5, "0.9100", *rest)}, zoo_board.read(board))
    assert [line.split(",")[:4] for line in board.read_text().splitlines()[1:]] == [
        ["alone", "control", "3", "0.8000"],
        ["b", "loss", "5", "0.9100"],
        ["a", "loss", "3", "0.9000"],
    ]


def test_an_arm_without_all_its_controls_is_refused() -> None:
    settings = {
        **{name: {"student": "gru"} for name in ("gru, alone", "gru, longer", "gru")},
        "alone": {"student": "hrnn"},
    }
    known = {name: (name, "control") for name in ("alone", "gru, alone", "gru, longer")}
    assert zoo_board.controls_missing(["gru", "gru, alone"], known, settings) == ["gru, longer"]
    assert zoo_board.controls_missing(["gru", "gru, alone", "gru, longer"], known, settings) == []
