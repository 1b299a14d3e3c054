"""Tables in Markdown, from rows of CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SPEED = REPOSITORY / "benchmarks" / "speed"
RESULTS = REPOSITORY / "benchmarks" / "results"


def rows_of(path: Path) -> list[dict[str, str]]:
    """Reads a CSV file: a mapping from column to cell for each line."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table; cells stand as they are."""
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def plain(cell: str) -> str:
    """Writes a number without a power of ten; any other cell stays as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
