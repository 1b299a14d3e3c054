"""The paper's tables, laid out as the paper has them, from stored results."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from distillbench.errors import ConfigError
from distillbench.results import paper
from distillbench.results.leaderboard import differing, frame, select
from distillbench.results.record import Result

QUALITY = (("gap", "GAP@20"), ("map_at_20", "mAP@20"))

SELECTORS = {
    "uniform": "Uniform-k",
    "random": "Random-k",
    "first": "First-k",
    "middle": "Middle-k",
    "last": "Last-k",
    "first-middle-last": "First-Middle-Last-k",
}
OBJECTIVES = {"rep": "L_rep", "rep,ce": "L_rep, L_CE", "rep,ce,pred": "L_rep, L_pred, L_CE"}
MODES = {"parallel": "Parallel", "serial": "Serial"}

_ORDER = ("rep", "rep-intermediate", "ce", "pred")
_PLAIN = {
    "loss.ce.label_smoothing": "0.0",
    "schedule.epochs_factor": "1",
    "schedule.targets": "own",
    "schedule.teacher": "trained",
}
"""What the settings of a method are that is no control."""


@dataclass(frozen=True)
class Cell:
    """One number of a table: the mean over `seeds` runs, their standard deviation, and the paper's number.

    words: what is written in its place. improving: how many of the runs were still improving when training ended.
    """

    value: float | None = None
    spread: float | None = None
    seeds: int = 0
    paper: float | None = None
    digits: int = 3
    unit: str = ""
    words: str = ""
    improving: int = 0


Row = tuple[tuple[str, ...], tuple[Cell, ...]]
"""A row of a table: words first, then one cell a column."""


@dataclass(frozen=True)
class Table:
    """A titled table. columns: one or two lines of heading each.

    sections: the numbers of the rows before which a rule is drawn. notes: said below.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    sections: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class Runs:
    """The answered runs of one data set, from which tables pick; networks in 8 bits are left to the leaderboard."""

    def __init__(self, results: Sequence[Result], conditions: Sequence[str] = ()) -> None:
        """Raises `ConfigError` where there is nothing to report, nothing meets the conditions, or several data sets do."""
        trained = [result for result in results if result.content["machine"]["precision"] != "int8"]
        if not trained:
            found = f"{len(results)} of networks in 8 bits alone" if results else "none"
            raise ConfigError(
                [
                    f"a report is made of results of trained runs, and there are {found}; distillbench run makes the first"
                ]
            )
        table = frame(trained)
        table["objective"] = [objective(result.content) for result in trained]
        table["result"] = pd.Series(dict(enumerate(trained)), dtype=object)
        table = select(table, conditions)
        if table.empty:
            raise ConfigError([f"none of {len(trained)} results meets {' and '.join(conditions)}"])
        names = sorted(set(table["data"]))
        if len(names) > 1:
            raise ConfigError([f"these results are of {' and '.join(names)}; choose one with --where data={names[0]}"])
        self.data = names[0]
        self.table = table
        self.whole: pd.DataFrame = table[table["train_videos"] == table["train_videos"].max()]

    def plain(self) -> pd.DataFrame:
        """The runs on all training data that are methods and baselines of the paper, no controls."""
        return picked(self.whole, is_plain)

    def frames(self) -> list[int]:
        """The values of k, ascending."""
        return sorted({int(k) for k in self.whole["k"] if k != "all"})


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Lists a table's rows as dictionaries."""
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return rows


def picked(table: pd.DataFrame, wanted: Callable[[Mapping[str, Any]], bool]) -> pd.DataFrame:
    """Keeps the rows of which `wanted` is true."""
    kept: pd.DataFrame = table[pd.Series([wanted(row) for row in records(table)], table.index, dtype=bool)]
    return kept


def is_plain(row: Mapping[str, Any]) -> bool:
    """Tells methods and baselines of the paper from controls."""
    settings: Mapping[str, str] = row["settings"]
    return row["train_selector"] == row["selector"] and all(settings.get(n, v) == v for n, v in _PLAIN.items())


def objective(content: Mapping[str, Any]) -> str:
    """Names the losses by which the student is matched, or `ce`, in the paper's order and without weights."""
    student = [p["objectives"]["student"] for p in content["setup"]["phases"] if "student" in p["objectives"]]
    names = student[0] if student else {"ce": 1.0}
    return ",".join(sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else 9, name)))


def cells(rows: pd.DataFrame, published: tuple[float, float] | None) -> tuple[Cell, Cell]:
    """Makes the cells of GAP@20 and mAP@20 of the runs of one method, one for each seed.

    Raises `ConfigError` where they are of several methods.
    """
    if rows["question"].nunique() > 1:
        told = "; ".join(f"{name} = {' or '.join(values)}" for name, values in differing(rows).items())
        raise ConfigError([f"one cell of the table has runs of several methods: {told}; choose with --where"])
    made = []
    for number, (name, _) in enumerate(QUALITY):
        values = [float(value) for value in rows[name]]
        improving = int(rows["still_improving"].sum())
        made.append(cell(values, None if published is None else published[number], improving=improving))
    return made[0], made[1]


def cell(
    values: Sequence[float], published: float | None = None, digits: int = 3, unit: str = "", improving: int = 0
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


def having(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Keeps the rows whose columns have these values."""
    for name, value in wanted.items():
        table = table[table[name].astype(str) == str(value)]
    return table


def table1(runs: Runs) -> Table:
    """Six baselines and six teacher-student methods at every k."""
    plain, frames = runs.plain(), runs.frames()
    if not frames:
        raise ConfigError(["Table 1 needs students, and these are teachers; distillbench sweep table1 asks them"])
    published = paper.TABLE_1
    columns = tuple((f"k={k}", title) for k in frames for _, title in QUALITY)
    skyline = cells(having(plain, schedule="teacher"), paper.SKYLINE)
    rows: list[Row] = [(("Teacher-Skyline", ""), (Cell(),) * (len(columns) - 2) + skyline)]
    for selector, title in SELECTORS.items():
        of = having(plain, schedule="scratch", selector=selector)
        rows.append(((title, ""), _over_frames(of, frames, ("scratch", selector), published)))
    for mode, title in MODES.items():
        for losses, written in OBJECTIVES.items():
            of = having(plain, schedule=mode, selector="uniform", objective=losses)
            rows.append(((title, written), _over_frames(of, frames, (mode, losses), published)))
    title = f"Table 1: baselines and teacher-student methods on {runs.data}"
    return Table("table1", title, ("model", "student loss"), columns, tuple(rows), (1, 7, 10), _notes(rows, columns))


def _over_frames(
    rows: pd.DataFrame,
    frames: Sequence[int],
    name: tuple[str, str],
    published: Mapping[tuple[str, str, int], tuple[float, float]],
) -> tuple[Cell, ...]:
    return tuple(c for k in frames for c in cells(having(rows, k=k), published.get((*name, k))))


def table2(runs: Runs) -> Table:
    """Intermediate and final matching at the largest k of the runs that match intermediate representations."""
    plain = runs.plain()
    matched = plain[plain["objective"].str.contains("rep-intermediate")]
    if matched.empty:
        raise ConfigError(["Table 2 needs runs that match intermediate states; distillbench sweep table2 asks them"])
    k = max(int(value) for value in matched["k"])
    rows = []
    for mode, title in MODES.items():
        for losses, written in OBJECTIVES.items():
            of = having(plain, schedule=mode, selector="uniform", k=k)
            found: list[Cell] = []
            for where, name in (("intermediate", losses.replace("rep", "rep-intermediate")), ("final", losses)):
                found += cells(having(of, objective=name), paper.TABLE_2[mode, losses, where])
            rows.append(((title, written), tuple(found)))
    columns = tuple((where, title) for where in ("Intermediate", "Final") for _, title in QUALITY)
    title = f"Table 2: intermediate against final matching on {runs.data}, k={k}"
    return Table("table2", title, ("training", "student loss"), columns, tuple(rows), (3,), _notes(rows, columns))


def table3(runs: Runs) -> Table:
    """Parts of the training data, at the largest k that was trained on a part."""
    whole = int(runs.table["train_videos"].max())
    plain = picked(runs.table, is_plain)
    parts = plain[plain["train_videos"] < whole]
    if parts.empty:
        raise ConfigError(["Table 3 needs runs on a part of the training data; distillbench sweep table3 asks them"])
    k = max((int(value) for value in parts["k"] if value != "all"), default=0)
    sizes = sorted({int(size) for size in parts["train_videos"]} | {whole})
    methods = {"serial": ("Serial", "rep,ce,pred"), "scratch": ("Uniform", "ce")}
    rows = []
    for mode, (title, losses) in methods.items():
        of = having(plain, schedule=mode, selector="uniform", objective=losses, k=k)
        both = [cells(having(of, train_videos=n), paper.TABLE_3.get((mode, _share(n, whole)))) for n in sizes]
        rows.append(((title,), tuple(pair[number] for number in range(2) for pair in both)))
    columns = tuple((title, f"{_share(n, whole):.0%}") for _, title in QUALITY for n in sizes)
    title = f"Table 3: training on a part of the data on {runs.data}, k={k}"
    return Table("table3", title, ("model",), columns, tuple(rows), (), _notes(rows, columns))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 2)


def table4(runs: Runs) -> Table:
    """Time and multiply-accumulates of evaluating the test split, in full and by the paper's convention."""
    plain = runs.plain()
    rows = []
    names = {"all": "Teacher-Skyline"} | {str(k): f"k={k}" for k in runs.frames()}
    for k, title in names.items():
        schedule = "teacher" if k == "all" else "scratch"
        of = having(plain, k=k, schedule=schedule)
        found = [row["result"].content for row in records(of if k == "all" else having(of, selector="uniform"))]
        hours, billions = paper.TABLE_4.get(k, (None, None))
        seconds = [[float(c["cost"]["evaluation_seconds"][part]) for c in found] for part in _PARTS]
        macs = [[float(c["cost"][name]) for c in found if c["cost"][name] is not None] for name in _COUNTS]
        timed = [cell(values, None, 3, "s") for values in seconds[:-1]] + [cell(seconds[-1], hours, 3, "s")]
        counted = [cell([v / 1e6 for v in macs[0]], None, 3, "M"), cell([v / 1e6 for v in macs[1]], None, 3, "M")]
        convention = [v / 1e9 for v in macs[2]]
        rows.append(((title,), (*timed, *counted, cell(convention, billions, 6, "G"))))
    columns = (
        *(("evaluation", part) for part in _PARTS),
        ("one video", "MACs"),
        ("one video", "FLOPs"),
        ("paper counts", "MACs"),
    )
    beside = int(plain["runs_beside"].max()) if len(plain) else 0
    notes = [
        "evaluation: seconds for the whole test split on this machine; the paper's are hours on a Tesla K80",
        "paper counts: multiply-accumulates of the lower LSTM for the visual feature alone, which the paper calls FLOPs; "
        "its k=10 and k=20 rows count 9 and 15 frames",
    ]
    if beside:
        notes.append(
            f"times were taken with up to {beside} runs beside; distillbench sweep table4 --workers 1 --again takes them alone"
        )
    notes.append(seeds_note(rows, columns))
    title = f"Table 4: time and operations on {runs.data}"
    return Table("table4", title, ("model",), columns, tuple(rows), (1,), tuple(notes))


_PARTS = ("reading", "model", "metric", "sum")
_COUNTS = ("macs", "flops", "published_macs")


def seeds_note(rows: Iterable[Row], columns: Sequence[tuple[str, str]]) -> str:
    """Says over how many seeds cells are means: the commonest number, and which rows or cells have another.

    Rows are named by their words, cells by their row and what of their column's heading is no name of a metric.
    """
    cells_of: dict[str, dict[str, int]] = {}
    for words, found in rows:
        counts = cells_of.setdefault(" ".join(filter(None, words)), {})
        for heading, each in zip(columns, found, strict=True):
            if each.seeds:
                counts[" ".join(part for part in heading if part not in _METRICS)] = each.seeds
    every = Counter(seeds for counts in cells_of.values() for seeds in counts.values())
    if not every:
        return "no runs"
    commonest = max(every, key=lambda seeds: (every[seeds], seeds))
    told = [f"mean ± standard deviation over {commonest} seeds" if commonest > 1 else "one seed"]
    for seeds in sorted(every.keys() - {commonest}):
        named = []
        for row, counts in cells_of.items():
            places = [place for place, count in counts.items() if count == seeds]
            if places:
                named.append(row if len(places) == len(counts) else f"{row} ({', '.join(places)})")
        told.append(f"over {seeds} in: {'; '.join(named)}")
    return "; ".join(told)


_METRICS = {title for _, title in QUALITY}


def _notes(rows: Iterable[Row], columns: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return (seeds_note(rows, columns), "mAP is mAP@20")


TABLES: Mapping[str, Callable[[Runs], Table]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
}
