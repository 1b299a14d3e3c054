"""All that the page says of stored results, as plain values: names, numbers, words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from distillbench.analysis.loading import Loaded, load, why_none
from distillbench.errors import ConfigError
from distillbench.interfaces import Metric
from distillbench.page.board import Board, BoardRow, DataBoard, board_of, notes_of, tags_of
from distillbench.page.columns import COSTS, FACETS, UNITS, Column
from distillbench.page.comparisons import comparisons_of
from distillbench.page.details import details_of
from distillbench.page.frame_budget import SHARE, frame_budget
from distillbench.page.looks import drawn
from distillbench.reports.marks import MARKS

Warn = Callable[[str], object]

TITLE = "distillbench results"
FORMAT = 1


class Content:
    """What a page says, in two parts, each made when it is first needed."""

    def __init__(self, found: Loaded, warn: Warn, title: str = TITLE) -> None:
        """found: what was loaded. warn: is called with why numbers lack an interval."""
        self.title = title
        self._found = found
        self._warn = warn
        self._told: set[str] = set()
        self._board = board_of(found, self._tell)

    @cached_property
    def board(self) -> Mapping[str, Any]:
        """What the page opens with: rows, columns, methods, curves."""
        return _opening(self._board, self._found, self.title)

    @cached_property
    def details(self) -> Mapping[str, Any]:
        """What is read when it is looked at: single runs, and the differences of rows."""
        runs = details_of(self._found.results, self._found.failures)
        return runs | {"comparisons": comparisons_of(self._board, self._tell)}

    def _tell(self, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            self._warn(f"no interval: {reason}")


def found_in(folders: Sequence[Path], metrics: Mapping[str, Metric], warn: Warn) -> Loaded:
    """Reads the results and failures of folders; `warn` is called with why files are skipped.

    Raises `ConfigError` where there is neither a result nor a failed run.
    """
    found = load(folders, metrics)
    for reason in found.skipped:
        warn(f"skipped: {reason}")
    if not found.results and not found.failures:
        raise ConfigError([why_none(found, folders)])
    return found


def _opening(board: Board, found: Loaded, title: str) -> Mapping[str, Any]:
    from distillbench import __version__

    rows = [_row(row, board.columns) for row in board.rows]
    used = {name for row in rows for name in row["cells"]}
    methods: dict[str, Mapping[str, Any]] = {}
    for row in board.rows:
        methods.setdefault(row.method, drawn(row.look))
    starts = [sum(len(p.rows) for p in board.parts[:n]) for n in range(len(board.parts))]
    return {
        "format": FORMAT,
        "title": title,
        "version": __version__,
        "finished": max((result.record.finished for result in found.results), default=""),
        "runs": len(found.results),
        "skipped": len(found.skipped),
        "marks": MARKS,
        "facets": [name for name in FACETS if name in used],
        "costs": [name for name in COSTS if name in used],
        "columns": [_column(column) for column in board.columns if column.name in used],
        "methods": methods,
        "share": SHARE,
        "data": [_data(p, start) for p, start in zip(board.parts, starts, strict=True)],
        "rows": rows,
    }


def _data(part: DataBoard, start: int) -> Mapping[str, Any]:
    return {
        "name": part.data,
        "metrics": [column.name for column in part.metrics if column.is_judge],
        "budget": frame_budget(part, start),
    }


def _column(column: Column) -> Mapping[str, Any]:
    return {
        "name": column.name,
        "title": column.title,
        "kind": column.kind,
        "about": column.about,
        "shown": column.shown,
        "unit": UNITS.get(column.name, ""),
        "higher": column.higher_is_better,
    }


def _row(row: BoardRow, columns: Sequence[Column]) -> Mapping[str, Any]:
    cells = {column.name: column.write(row.cells) for column in columns}
    return {
        "run": str(row.cells["run"]),
        "runs": [result.id for result in row.results] or [str(row.cells["run"])],
        "method": row.method,
        "tags": tags_of(row),
        "notes": notes_of(row),
        "cells": {name: cell for name, cell in cells.items() if cell is not None},
    }
