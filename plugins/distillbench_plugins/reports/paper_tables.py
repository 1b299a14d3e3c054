"""The paper's tables, laid out as the paper has them, with its digits beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Cell, Report, Row, Runs, Table
from distillbench.reports import cell, cells, frames, having, picked, records, seeds_note
from distillbench_plugins.paper import published
from distillbench_plugins.paper.methods import (
    MODES,
    OBJECTIVES,
    QUALITY,
    SELECTORS,
    SOURCE,
    of_the_paper,
    plain,
)

if TYPE_CHECKING:
    import pandas as pd

_TITLES = tuple(QUALITY.values())


class Table1(Report):
    """The paper's Table 1: six baselines and six teacher-student methods at every k."""

    needs = "table1"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = (
        {"schedule": "teacher", "k": "all", "loss": "ce"},
        *({"schedule": "scratch", "selector": "uniform", "loss": "ce", "k": k} for k in (6, 10)),
        *(
            {"schedule": "serial", "selector": "uniform", "loss": "rep:0.1,ce", "k": 6, "seed": s}
            for s in (0, 1)
        ),
    )

    def make(self, runs: Runs) -> Table:
        """Makes the table."""
        rows, ks = plain(runs), frames(runs.whole)
        if not ks:
            raise self.lacking("Table 1 needs students, and these are teachers")
        columns = tuple((f"k={k}", title) for k in ks for title in _TITLES)
        skyline = _cells(runs, having(rows, schedule="teacher"), published.SKYLINE)
        none = (Cell(),) * (len(columns) - len(skyline))
        made: list[Row] = [(("Teacher-Skyline", ""), none + skyline)]
        for selector, title in SELECTORS.items():
            of = having(rows, schedule="scratch", selector=selector)
            made.append(((title, ""), _at_every_k(runs, of, ks, ("scratch", selector))))
        for mode, title in MODES.items():
            for losses, written in OBJECTIVES.items():
                of = having(rows, schedule=mode, selector="uniform", objective=losses)
                made.append(((title, written), _at_every_k(runs, of, ks, (mode, losses))))
        title = f"Table 1: baselines and teacher-student methods on {runs.data}"
        heads = ("model", "student loss")
        notes = _notes(made, columns)
        return Table(title, heads, columns, tuple(made), (1, 7, 10), notes, SOURCE)


class Table2(Report):
    """The paper's Table 2: intermediate against final matching, at the largest k that has both."""

    needs = "table2"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple(
        {"schedule": mode, "selector": "uniform", "loss": loss, "k": 6}
        for mode in MODES
        for loss in ("rep-intermediate,ce", "rep,ce")
    )

    def make(self, runs: Runs) -> Table:
        """Makes the table, at the largest k of the runs that match intermediate states."""
        rows = plain(runs)
        matched = picked(rows, lambda row: "rep-intermediate" in row["objective"])
        if matched.empty:
            raise self.lacking("Table 2 needs runs that match intermediate states")
        k = max(frames(matched))
        made: list[Row] = []
        for mode, title in MODES.items():
            for losses, written in OBJECTIVES.items():
                of = having(rows, schedule=mode, selector="uniform", k=k)
                found: tuple[Cell, ...] = ()
                for where, name in (
                    ("intermediate", losses.replace("rep", "rep-intermediate")),
                    ("final", losses),
                ):
                    digits = published.TABLE_2[mode, losses, where]
                    found += _cells(runs, having(of, objective=name), digits)
                made.append(((title, written), found))
        columns = tuple((where, title) for where in ("Intermediate", "Final") for title in _TITLES)
        title = f"Table 2: intermediate against final matching on {runs.data}, k={k}"
        heads = ("training", "student loss")
        return Table(title, heads, columns, tuple(made), (3,), _notes(made, columns), SOURCE)


class Table3(Report):
    """The paper's Table 3: parts of the training data, at the largest k trained on a part."""

    needs = "table3"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple(
        {"schedule": mode, "selector": "uniform", "loss": loss, "k": 6, "train_videos": videos}
        for mode, loss in (("serial", "rep,ce,pred"), ("scratch", "ce"))
        for videos in (25, 100)
    )

    def make(self, runs: Runs) -> Table:
        """Makes the table."""
        rows = of_the_paper(runs.rows)
        whole = int(runs.rows["train_videos"].max()) if len(rows) else 0
        parts = rows[rows["train_videos"] < whole]
        if parts.empty:
            raise self.lacking("Table 3 needs runs on a part of the training data")
        k = max(frames(parts), default=0)
        sizes = sorted({int(size) for size in parts["train_videos"]} | {whole})
        methods = {"serial": ("Serial", "rep,ce,pred"), "scratch": ("Uniform", "ce")}
        made: list[Row] = []
        for mode, (title, losses) in methods.items():
            of = having(rows, schedule=mode, selector="uniform", objective=losses, k=k)
            both = [
                _cells(
                    runs,
                    having(of, train_videos=size),
                    published.TABLE_3.get((mode, _share(size, whole))),
                )
                for size in sizes
            ]
            made.append(((title,), tuple(pair[n] for n in range(len(QUALITY)) for pair in both)))
        columns = tuple((title, f"{_share(n, whole):.0%}") for title in _TITLES for n in sizes)
        title = f"Table 3: training on a part of the data on {runs.data}, k={k}"
        notes = _notes(made, columns)
        return Table(title, ("model",), columns, tuple(made), (), notes, SOURCE)


class Table4(Report):
    """The paper's Table 4: time and operations of evaluation, in full and as the paper counts."""

    needs = "table4"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = (
        {"schedule": "teacher", "k": "all", "loss": "ce"},
        *({"schedule": "scratch", "selector": "uniform", "loss": "ce", "k": k} for k in (6, 10)),
    )

    def make(self, runs: Runs) -> Table:
        """Makes the table."""
        rows = plain(runs)
        if rows.empty:
            raise self.lacking("Table 4 needs teachers, or students alone on uniform frames")
        made: list[Row] = []
        names = {"all": "Teacher-Skyline"} | {str(k): f"k={k}" for k in frames(runs.whole)}
        for k, title in names.items():
            of = having(rows, k=k, schedule="teacher" if k == "all" else "scratch")
            found = records(of if k == "all" else having(of, selector="uniform"))
            costs = [runs.stored(str(row["run"]))["cost"] for row in found]
            made.append(((title,), _costs(costs, *published.TABLE_4.get(k, (None, None)))))
        columns = (
            *(("evaluation", part) for part in _PARTS),
            ("one video", "MACs"),
            ("one video", "FLOPs"),
            ("paper counts", "MACs"),
        )
        notes = [
            (
                "evaluation: seconds for the whole test split on this machine; the paper's are"
                " hours on a Tesla K80"
            ),
            (
                "paper counts: multiply-accumulates of the lower LSTM for the visual feature alone,"
                " which the paper calls FLOPs; its k=10 and k=20 rows count 9 and 15 frames"
            ),
        ]
        runs_beside = int(rows["runs_beside"].max())
        if runs_beside:
            notes.append(
                f"times were taken with up to {runs_beside} runs beside; "
                "distillbench sweep table4 --workers 1 --again takes them alone"
            )
        notes.append(seeds_note(made, columns, _TITLES))
        title = f"Table 4: time and operations on {runs.data}"
        return Table(title, ("model",), columns, tuple(made), (1,), tuple(notes), SOURCE)


_PARTS = ("reading", "model", "metric", "sum")
_COUNTS = ("macs", "flops", "published_macs")


def _costs(
    costs: Sequence[Mapping[str, Any]], hours: float | None, billions: float | None
) -> tuple[Cell, ...]:
    seconds = [[float(cost["evaluation_seconds"][part]) for cost in costs] for part in _PARTS]
    macs = [[float(cost[n]) for cost in costs if cost[n] is not None] for n in _COUNTS]
    return (
        *(cell(values, None, 3, "s") for values in seconds[:-1]),
        cell(seconds[-1], hours, 3, "s"),
        *(cell([value / 1e6 for value in values], None, 3, "M") for values in macs[:2]),
        cell([value / 1e9 for value in macs[2]], billions, 6, "G"),
    )


def _cells(runs: Runs, rows: pd.DataFrame, digits: tuple[float, float] | None) -> tuple[Cell, ...]:
    """Makes the cells of GAP@20 and mAP@20 of the runs of one method."""
    return cells(runs, rows, QUALITY, dict(zip(QUALITY, digits or (), strict=False)))


def _at_every_k(
    runs: Runs, rows: pd.DataFrame, ks: Sequence[int], name: tuple[str, str]
) -> tuple[Cell, ...]:
    found: tuple[Cell, ...] = ()
    for k in ks:
        found += _cells(runs, having(rows, k=k), published.TABLE_1.get((*name, k)))
    return found


def _share(part: int, whole: int) -> float:
    return round(part / whole, 2)


def _notes(rows: Iterable[Row], columns: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return (seeds_note(rows, columns, _TITLES), "mAP is mAP@20")


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `table1` to `table4`."""
    return {"table1": Table1, "table2": Table2, "table3": Table3, "table4": Table4}
