"""The rows of the page: the leaderboard's, each data set ranked by its own first metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from distillbench.analysis.leaderboard import over_seeds, ranked
from distillbench.analysis.loading import Loaded
from distillbench.analysis.metric_columns import MetricColumn, columns_in, ranking_column
from distillbench.analysis.rows import frame
from distillbench.analysis.significance import with_intervals
from distillbench.page.columns import Column, columns_for
from distillbench.page.roles import ALONE, CONTROL, TAUGHT, role_of
from distillbench.reports.curves import OTHERS
from distillbench.reports.methods import is_trained, names_by_data, title_of
from distillbench.reports.rows import records
from distillbench.reports.style import Look, looks
from distillbench.results.store import Result

Warn = Callable[[str], object]


@dataclass(frozen=True)
class BoardRow:
    """A row: runs that differ in their seed alone.

    cells: the leaderboard's columns. results: of its runs; none where the run has no result.
    """

    method: str
    look: Look
    cells: Mapping[str, Any]
    results: tuple[Result, ...]

    @property
    def is_trained(self) -> bool:
        """Whether it is neither of an exported network nor of one in 8 bits, and has a result."""
        return bool(self.results) and is_trained(self.results[0].record)


@dataclass(frozen=True)
class DataBoard:
    """The rows of one data set, best first. metrics: its own, the one that ranks first."""

    data: str
    metrics: tuple[MetricColumn, ...]
    rows: tuple[BoardRow, ...]


@dataclass(frozen=True)
class Board:
    """All rows, the data set with the most of them first."""

    parts: tuple[DataBoard, ...]
    columns: tuple[Column, ...]

    @property
    def rows(self) -> list[BoardRow]:
        """The rows of all data sets, in the order of the page."""
        return [row for part in self.parts for row in part.rows]


def board_of(found: Loaded, warn: Warn) -> Board:
    """Makes the board of what was loaded; `warn` is called with why a row has no interval."""
    if not found.results and not found.failures:
        return Board((), ())
    runs = _named(found)
    rows = over_seeds(runs)
    by_file = {str(result.path): result for result in found.results}
    parts = [
        _part(str(data), of, list(found.results), by_file, warn)
        for data, of in rows.groupby("data", sort=True)
    ]
    parts.sort(key=lambda part: -len(part.rows))
    metrics: dict[str, MetricColumn] = {}
    for part in parts:
        for column in part.metrics:
            known = metrics.setdefault(column.name, column)
            metrics[column.name] = replace(known, is_judge=known.is_judge or column.is_judge)
    ordered = sorted(metrics.values(), key=lambda column: not column.is_judge)
    return Board(tuple(parts), tuple(columns_for(ordered)))


def _named(found: Loaded) -> pd.DataFrame:
    """Makes a row a run, with the name of its method, whose look it has, and its role."""
    runs = frame(found.results, found.failures)
    trained = [is_trained(result.record) for result in found.results]
    kept = runs.iloc[: len(trained)][trained]
    names = dict(zip(kept["run"], names_by_data(kept), strict=True)) if len(kept) else {}
    methods, likes, roles, reasons = [], [], [], []
    contents = [result.content for result in found.results]
    contents += [failure.content for failure in found.failures]
    for row, content in zip(records(runs), contents, strict=True):
        source = content.get("quantized_from") or content.get("exported_from")
        like = names.get(source or row["run"], "")
        made = "" if source is None else f", {_converted_to(row)}"
        methods.append((like or title_of(row)) + made)
        likes.append(like)
        role, reason = role_of(content)
        roles.append(role)
        reasons.append(reason)
    return runs.assign(method=methods, like=likes, role=roles, control=reasons)


def _converted_to(row: Mapping[str, Any]) -> str:
    exporter = row.get("exporter")
    return exporter if isinstance(exporter, str) else str(row["precision"])


def _part(
    data: str,
    rows: pd.DataFrame,
    results: Sequence[Result],
    by_file: Mapping[str, Result],
    warn: Warn,
) -> DataBoard:
    given = looks({name for name in rows["like"] if name})
    metrics: tuple[MetricColumn, ...] = ()
    if rows["metrics"].map(bool).any():
        first = ranking_column(rows)
        metrics = tuple(sorted(columns_in(rows), key=lambda column: column.name != first))
        rows = with_intervals(rows, results, first, rows.index, warn=warn)
        rows = ranked(rows, first, None)
    listed = [
        BoardRow(
            row["method"],
            given.get(row["like"], OTHERS),
            row,
            tuple(sorted(map(by_file.__getitem__, row["files"]), key=_seed)),
        )
        for row in records(rows)
    ]
    return DataBoard(data, metrics, tuple(listed))


def _seed(result: Result) -> int:
    return result.record.setup.seed


def notes_of(row: BoardRow) -> list[str]:
    """Lists what limits a row: why it is a control, why it has no result, its warnings."""
    cells = row.cells
    found = [cells["control"]] if cells["control"] else []
    if cells["status"] != "finished":
        found.append(f"{cells['status']}: {cells['reason']}")
    return [*found, *str(cells["warnings"]).splitlines()]


def tags_of(row: BoardRow) -> list[str]:
    """Lists what a row is shown as beside its name."""
    cells = row.cells
    tags = [cells["role"]] if cells["role"] in (CONTROL, ALONE) else []
    if cells["role"] not in (CONTROL, ALONE, TAUGHT):
        tags.append(str(cells["role"]))
    if cells.get("still_improving") is True:
        tags.append("still improving")
    if cells["status"] != "finished":
        tags.append(str(cells["status"]))
    return tags
