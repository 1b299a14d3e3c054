"""The leaderboard: rows of every result of some folders, ranked, with intervals."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from distillbench.analysis import rows as rows_of
from distillbench.analysis.leaderboard import column_of, over_seeds, ranked, select
from distillbench.analysis.loading import gathered
from distillbench.analysis.metric_columns import (
    MetricColumn,
    columns_in,
    named_columns,
    ranking_column,
)
from distillbench.analysis.row_index import Entry, EvaluatedRow, RowIndex, code_of, state_of
from distillbench.analysis.significance import KnownIntervals, with_intervals
from distillbench.evaluation.metric_set import installed_metrics
from distillbench.interfaces import Metric
from distillbench.registry import discovery
from distillbench.results import failures, store, test_labels
from distillbench.results.folders import Folders, folders_of
from distillbench.results.store import Evaluated
from distillbench.texts import several

Warn = Callable[[str], object]


def leaderboard(
    results: Folders = "results",
    *,
    where: Sequence[str] = (),
    sort: str | None = None,
    top: int | None = None,
    group_by: str | None = None,
    each: bool = False,
    warn: Warn = warnings.warn,
) -> pd.DataFrame:
    """Returns quality, cost and time of every run, best first.

    Runs that differ in their seed alone share a row.

    where: conditions that a row meets, such as `k=15` or `loss=A|B`.
    group_by: a column whose values are ranked apart.
    sort: by default the metric that the data is judged by first. `attrs["metrics"]` of the table
    describes its metrics.
    each: one row a run.
    warn: is called with a message about damaged files, about rows without an interval, and about
        why there is no row at all.
    """
    conditions = several(where)
    found = _Board(folders_of(results), installed_metrics(discovery.discover("metric")), warn)
    if not found.runs:
        for row in found.rows:
            warn(f"{row['run']} {row['status']}: {row['reason']}")
        warn("no results yet; distillbench run makes the first")
        found.save()
        return pd.DataFrame()
    rows = select(pd.DataFrame(found.rows), conditions)
    if rows.empty:
        warn(f"none of {len(found.runs)} results meets: {', '.join(conditions)}")
        found.save()
        return pd.DataFrame()
    rows = rows.reset_index(drop=True) if each else over_seeds(rows)
    ranked_by = ranking_column(
        rows if rows["metrics"].map(bool).any() else pd.DataFrame(found.rows)
    )
    by = column_of(sort or ranked_by, rows, "--sort")
    group = None if group_by is None else column_of(group_by, rows, "--group-by")
    shown = ranked(rows, by, top, group).index
    damage: list[str] = []
    compared = {column.name for column in columns_in(rows) if column.has_interval}
    metric = by if by in compared else ranked_by
    rows = with_intervals(
        rows, found.runs, metric, shown, group=group, warn=damage.append, known=found.known
    )
    found.save()
    for reason in dict.fromkeys(damage):
        warn(f"no interval: {reason}")
    columns = columns_in(rows)
    chosen = rows.loc[shown].drop(columns=[*rows_of.INTERNAL, "metrics"])
    chosen.attrs["metrics"] = columns
    return chosen


@dataclass(frozen=True)
class _Row:
    """A file of a folder, flattened. run: what its intervals are made of, if it is a result."""

    path: Path
    id: str
    finished: str
    row: Mapping[str, Any]
    run: EvaluatedRow | None = None


class _Board:
    """What folders hold, read from their indexes where these are as new as the files."""

    def __init__(self, folders: Sequence[Path], metrics: Mapping[str, Metric], warn: Warn) -> None:
        """Reads the folders; raises `ResultError` where one does not exist."""
        code = code_of(metrics)
        self._metrics = metrics
        self._columns: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[MetricColumn, ...]] = {}
        self._indexes = {str(folder): RowIndex(folder, code) for folder in folders}
        self._states: dict[str, str] = {}
        self._label_states: dict[tuple[Path, str], str] = {}
        results, skipped, failed = gathered(folders, self._result, self._failure)
        for reason in skipped:
            warn(f"skipped: {reason}")
        self.rows = [found.row for found in (*results, *failed)]
        self.runs = [found.run for found in results if found.run is not None]

    @property
    def known(self) -> KnownIntervals:
        """The intervals that were computed before; those of several folders are in the first."""
        index = next(iter(self._indexes.values()))
        return KnownIntervals(index.estimates, self._state_of)

    def save(self) -> None:
        """Writes the indexes that have changed."""
        for index in self._indexes.values():
            index.save()

    def _result(self, path: Path) -> _Row:
        state, index = state_of(path), self._indexes[str(path.parent)]
        entry = index.find(path.name, state)
        if entry is None:
            entry = _entry_of(store.read(path, self._metrics))
            index.add(path.name, state, entry)
        if state is not None:
            self._states[str(path)] = repr(state)
        run, about = entry.row, entry.about
        quality = about["quality"]
        evaluated = EvaluatedRow(
            path, run["run"], run["seed"], run["videos"], quality, self._metrics, about["file"]
        )
        columns = self._columns_of((tuple(about["judges"]), tuple(quality)))
        row = run | {"metrics": columns, "files": (str(path),)}
        return _Row(path, run["run"], about["finished"], row, evaluated)

    def _columns_of(
        self, names: tuple[tuple[str, ...], tuple[str, ...]]
    ) -> tuple[MetricColumn, ...]:
        if names not in self._columns:
            self._columns[names] = named_columns(*names, self._metrics)
        return self._columns[names]

    def _failure(self, path: Path) -> _Row:
        name = f"{path.parent.name}/{path.name}"
        state, index = state_of(path), self._indexes[str(path.parent.parent)]
        entry = index.find(name, state)
        if entry is None:
            entry = Entry(_plain(rows_of.failure_row(failures.read(path))), {})
            index.add(name, state, entry)
        row = entry.row | {"metrics": (), "files": ()}
        return _Row(path, row["run"], "", row)

    def _state_of(self, run: Evaluated) -> str:
        """Identifies a result's file, its predictions and its labels."""
        assert isinstance(run, EvaluatedRow)
        predictions = state_of(run.path.parent / run.file)
        labels = self._labels(run.path.parent, run.videos)
        of_result = self._states.get(str(run.path), "")
        return f"{of_result}{predictions}{labels}" if of_result and predictions and labels else ""

    def _labels(self, folder: Path, videos: str) -> str:
        if (folder, videos) not in self._label_states:
            path = test_labels.path_of(folder, videos)
            there = state_of(path) or ("" if os.path.lexists(path) else "none")
            self._label_states[folder, videos] = str(there)
        return self._label_states[folder, videos]


def _entry_of(result: store.Result) -> Entry:
    record = result.record
    about = {
        "finished": record.finished,
        "file": record.files.predictions,
        "quality": dict(record.metrics),
        "judges": list(record.data.metrics),
    }
    return Entry(_plain(rows_of.row(result)), about)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Leaves out of a row what depends on where its file is, and on what is installed."""
    return {name: value for name, value in row.items() if name not in ("metrics", "files")}
