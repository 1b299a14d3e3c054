"""Cells of tables, made of the runs of one method, and the note of how many seeds they have."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from distillbench.errors import ConfigError
from distillbench.interfaces import Cell, Row, Runs

if TYPE_CHECKING:
    import pandas as pd


def cell(
    values: Sequence[float],
    published: float | None = None,
    digits: int = 3,
    unit: str = "",
    improving: int = 0,
) -> Cell:
    """Makes a cell of the values of some seeds."""
    return Cell(
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
        len(values),
        published,
        digits,
        unit,
        improving=improving,
    )


def cells(
    runs: Runs, rows: pd.DataFrame, metrics: Iterable[str], published: Mapping[str, float]
) -> tuple[Cell, ...]:
    """Makes a cell a metric of the runs of one method, one for each seed.

    published: what is published of them, by metric. Raises `ConfigError` where the rows are of
    several methods.
    """
    if rows["configuration"].nunique() > 1:
        found = runs.differing(rows).items()
        several = "; ".join(f"{name} = {' or '.join(values)}" for name, values in found)
        raise ConfigError(
            [f"one cell of the table has runs of several methods: {several}; choose with --where"]
        )
    improving = int(rows["still_improving"].sum())
    return tuple(
        cell(
            [float(value) for value in rows[name]],
            published.get(name),
            improving=improving,
        )
        for name in metrics
    )


def seeds_note(
    rows: Iterable[Row], columns: Sequence[tuple[str, str]], unnamed: Collection[str] = ()
) -> str:
    """Tells over how many seeds cells are means: the commonest number, and the exceptions.

    Rows are named by their words, cells by their row and their column's heading, but for the
    headings in `unnamed`, such as a metric's title.
    """
    cells_of: dict[str, dict[str, int]] = {}
    for words, found in rows:
        counts = cells_of.setdefault(" ".join(filter(None, words)), {})
        for heading, each in zip(columns, found, strict=True):
            if each.seeds:
                counts[" ".join(part for part in heading if part not in unnamed)] = each.seeds
    every = Counter(seeds for counts in cells_of.values() for seeds in counts.values())
    if not every:
        return "no runs"
    commonest = max(every, key=lambda seeds: (every[seeds], seeds))
    note = [
        f"mean ± standard deviation over {commonest} seeds" if commonest > 1 else "one seed",
    ]
    for seeds in sorted(every.keys() - {commonest}):
        named = []
        for row, counts in cells_of.items():
            places = [place for place, count in counts.items() if count == seeds]
            if places:
                named.append(row if len(places) == len(counts) else f"{row} ({', '.join(places)})")
        note.append(f"over {seeds} in: {'; '.join(named)}")
    return "; ".join(note)
