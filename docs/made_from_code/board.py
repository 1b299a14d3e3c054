"""The board of every method: a table a section, and what it says of one arm."""

from __future__ import annotations

from collections.abc import Mapping

from made_from_code.tables import RESULTS, rows_of, table

BOARD = RESULTS / "zoo" / "board.csv"
_HEADS = (
    *("arm", "GAP@20", "over the student alone, trained alike", "over the best control"),
    *("seeds", "MACs"),
)


def cells_of_arms() -> dict[str, str]:
    """Writes what the board says of each arm: its quality, and its gain over the student alone."""
    return {
        row["arm"]: ", ".join(filter(None, (_quality(row), _gain(row)))) for row in rows_of(BOARD)
    }


def section(name: str) -> str:
    """Makes the table of a section of the board, the best first."""
    return table(_HEADS, (_cells(row) for row in rows_of(BOARD) if row["section"] == name))


def _cells(row: Mapping[str, str]) -> tuple[str, ...]:
    best = _gain(row, "over_best", "over_best_")
    macs = f"{int(row['macs']) / 1e6:.2f} M"
    return (row["arm"], _quality(row), _gain(row), best, row["seeds"], macs)


def _quality(row: Mapping[str, str]) -> str:
    """Writes the quality of an arm; a star where some run of it was still improving, † for one seed."""
    marks = ("*" if row["improving"] != "0" else "") + ("†" if row["seeds"] == "1" else "")
    return f"{float(row['gap']):.3f}{marks}"


def _gain(row: Mapping[str, str], name: str = "over_alone", ends: str = "") -> str:
    low, high = row[f"{ends}low"], row[f"{ends}high"]
    return f"{row[name]} ({low} to {high})" if low else row[name]
