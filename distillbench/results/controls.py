"""Is it the teacher? Every control beside the distilled student, at every k."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from distillbench.errors import ConfigError
from distillbench.results.comparison import Side, compare
from distillbench.results.leaderboard import over_seeds
from distillbench.results.report import Cell, Row, Runs, Table, cell, having, picked, records, seeds_note

_RESAMPLES = 500


def kind_of(row: Mapping[str, Any]) -> str | None:
    """Names what a run is a control of: its frames, its targets, its length or its labels; None for other runs."""
    settings: Mapping[str, str] = row["settings"]
    if row["schedule"] not in ("scratch", "serial") or row["selector"] != "uniform":
        return None
    parts = []
    smoothing = settings.get("loss.ce.label_smoothing", "0.0")
    if settings.get("schedule.targets") == "shuffled":
        parts.append("another video's teacher")
    if settings.get("schedule.targets") == "same-frames":
        parts.append("teacher sees the same frames")
    if settings.get("schedule.teacher") == "untrained":
        parts.append("untrained teacher")
    if smoothing != "0.0":
        parts.append(f"label smoothing {smoothing}")
    if row["train_selector"] != row["selector"]:
        words = str(row["train_selector"]).partition(" ")
        parts.append(f"frames redrawn ({'jittered uniform' if 'jitter' in words[2] else words[0]})")
    if settings.get("schedule.epochs_factor", "1") != "1":
        parts.append(f"{settings['schedule.epochs_factor']} x the epochs")
    return ", ".join(parts) or "as it is"


def is_control(row: Mapping[str, Any]) -> bool:
    """Tells whether nothing of a trained teacher that saw the same video reaches the student."""
    settings: Mapping[str, str] = row["settings"]
    told = settings.get("schedule.targets") != "shuffled" and settings.get("schedule.teacher") == "trained"
    return row["schedule"] == "scratch" or not told


def table(runs: Runs) -> Table:
    """Lists controls, then methods with their gain over the best control of the same k, by GAP@20."""
    whole = runs.whole
    whole = whole.assign(kind=pd.Series([kind_of(row) for row in records(whole)], whole.index, dtype=object))
    whole = whole[whole["kind"].notna()]
    if whole.empty:
        raise ConfigError(
            [
                "these results hold no student alone or distilled serially on uniform frames; "
                "distillbench sweep controls asks them"
            ]
        )
    methods = over_seeds(whole)
    methods["control"] = [is_control(row) for row in records(methods)]
    methods["student"] = [_student(row) for row in records(methods)]
    frames = sorted({int(k) for k in methods["k"]})
    rows = _rows(picked(methods, lambda row: bool(row["control"])), frames, lambda of: _alone(runs, of))
    section = len(rows)
    rows += _rows(picked(methods, lambda row: not row["control"]), frames, lambda of: _with_gain(runs, methods, of))
    columns = tuple((f"k={k}", title) for k in frames for title in ("GAP@20", "gain over best control", "95 %"))
    notes = (
        "gain over the best control, by mean GAP@20 at the same k; the interval is paired by video and by seed",
        "the control with the highest mean was picked after looking, so the gain shown is a little too small",
        seeds_note(rows, columns),
    )
    title = f"Is it the teacher? Controls on {runs.data}"
    return Table("controls", title, ("student", "trained"), columns, tuple(rows), (section,), notes)


def _rows(methods: pd.DataFrame, frames: list[int], made: Callable[[pd.DataFrame], tuple[Cell, ...]]) -> list[Row]:
    names = dict.fromkeys(
        (str(row["student"]), str(row["kind"]), str(row["loss"]))
        for row in records(methods.sort_values(["schedule", "student", "kind"]))
    )
    rows: list[Row] = []
    for student, kind, loss in names:
        found: tuple[Cell, ...] = ()
        for k in frames:
            found += made(having(methods, k=k, kind=kind, loss=loss, student=student))
        rows.append(((student, kind), found))
    return rows


def _student(row: Mapping[str, Any]) -> str:
    return "alone" if row["schedule"] == "scratch" else f"{row['schedule']} {row['loss']}"


def _alone(runs: Runs, of: pd.DataFrame) -> tuple[Cell, ...]:
    return (_gap(runs, of), Cell(), Cell())


def _gap(runs: Runs, of: pd.DataFrame) -> Cell:
    if of.empty:
        return Cell()
    found = having(runs.whole, question=of.iloc[0]["question"])
    return cell(list(found["gap"]), improving=int(found["still_improving"].sum()))


def _with_gain(runs: Runs, methods: pd.DataFrame, of: pd.DataFrame) -> tuple[Cell, ...]:
    if of.empty:
        return (Cell(), Cell(), Cell())
    method = records(of)[0]
    rivals = [row for row in records(methods) if row["control"] and row["k"] == method["k"]]
    if not rivals:
        return _alone(runs, of)
    best = max(rivals, key=lambda row: float(row["gap"]))
    found = compare(_side(runs, method), _side(runs, best), _RESAMPLES).differences["gap"]
    shown = f"[{found.low:+.3f}, {found.high:+.3f}]"
    return (
        _gap(runs, of),
        Cell(found.value, digits=3, words=f"{found.value:+.3f} ({best['kind']})"),
        Cell(words=shown),
    )


def _side(runs: Runs, row: Mapping[str, Any]) -> Side:
    results = having(runs.whole, question=row["question"])["result"]
    return Side(str(row["run"]), tuple(results))
