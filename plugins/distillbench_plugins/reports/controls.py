"""Is it the teacher? Every control beside the distilled student, at every k."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Cell, Report, Row, Runs, Table
from distillbench.reports import cell, frames, having, picked, records, seeds_note

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 500
_METRIC = "gap"


class Controls(Report):
    """Is it the teacher? Controls, and the gain of every method over the best of them."""

    needs = "controls"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = (
        {"schedule": "scratch", "selector": "uniform", "loss": "ce", "k": 6},
        {
            "schedule": "scratch",
            "selector": "uniform",
            "train_selector": "random",
            "loss": "ce",
            "k": 6,
        },
        {
            "schedule": "serial",
            "selector": "uniform",
            "loss": "rep,ce,pred",
            "k": 6,
            "schedule.teacher": "trained",
            "schedule.targets": "own",
        },
    )

    def make(self, runs: Runs) -> Table:
        """Lists controls, then methods with their gain over the best control of the same k."""
        whole = runs.whole
        whole = picked(whole, lambda row: kind_of(row) is not None)
        whole = whole.assign(kind=[str(kind_of(row)) for row in records(whole)])
        if whole.empty:
            raise self.lacking(
                "these results hold no student alone or distilled serially on uniform frames"
            )
        methods = runs.over_seeds(whole)
        methods["control"] = [is_control(row) for row in records(methods)]
        methods["student"] = [_student(row) for row in records(methods)]
        ks = frames(methods)
        controls = picked(methods, lambda row: bool(row["control"]))
        taught = picked(methods, lambda row: not row["control"])
        rows = _rows(controls, ks, lambda of: _alone(runs, of))
        section = len(rows)
        rows += _rows(taught, ks, lambda of: _with_gain(runs, methods, of))
        headings = ("GAP@20", "gain over best control", "95 %")
        columns = tuple((f"k={k}", title) for k in ks for title in headings)
        notes = (
            (
                "gain over the best control, by mean GAP@20 at the same k; the interval is paired"
                " by video and by seed"
            ),
            (
                "the control with the highest mean was picked after looking, so the gain shown is a"
                " little too small"
            ),
            seeds_note(rows, columns, ("GAP@20",)),
        )
        title = f"Is it the teacher? Controls on {runs.data}"
        heads = ("student", "trained")
        return Table(title, heads, columns, tuple(rows), (section,), notes)


def kind_of(row: Mapping[str, Any]) -> str | None:
    """Names what a run is a control of: its frames, targets, length or labels; None otherwise."""
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
    own = settings.get("schedule.targets") != "shuffled"
    return row["schedule"] == "scratch" or not (
        own and settings.get("schedule.teacher") == "trained"
    )


def _rows(
    methods: pd.DataFrame, ks: Sequence[int], made: Callable[[pd.DataFrame], tuple[Cell, ...]]
) -> list[Row]:
    names = dict.fromkeys(
        (str(row["student"]), str(row["kind"]), str(row["loss"]))
        for row in records(methods.sort_values(["schedule", "student", "kind"]))
    )
    rows: list[Row] = []
    for student, kind, loss in names:
        found: tuple[Cell, ...] = ()
        for k in ks:
            found += made(having(methods, k=k, kind=kind, loss=loss, student=student))
        rows.append(((student, kind), found))
    return rows


def _student(row: Mapping[str, Any]) -> str:
    return "alone" if row["schedule"] == "scratch" else f"{row['schedule']} {row['loss']}"


def _alone(runs: Runs, of: pd.DataFrame) -> tuple[Cell, ...]:
    return (_quality(runs, of), Cell(), Cell())


def _quality(runs: Runs, of: pd.DataFrame) -> Cell:
    if of.empty:
        return Cell()
    found = _runs_of(runs, records(of)[0])
    return cell(list(found[_METRIC]), improving=int(found["still_improving"].sum()))


def _with_gain(runs: Runs, methods: pd.DataFrame, of: pd.DataFrame) -> tuple[Cell, ...]:
    if of.empty:
        return (Cell(), Cell(), Cell())
    method = records(of)[0]
    rivals = [row for row in records(methods) if row["control"] and row["k"] == method["k"]]
    if not rivals:
        return _alone(runs, of)
    best = max(rivals, key=lambda row: float(row[_METRIC]))
    ours, theirs = _runs_of(runs, method), _runs_of(runs, best)
    found = runs.compare(ours, theirs, metric=_METRIC, resamples=_RESAMPLES)
    return (
        _quality(runs, of),
        Cell(found.value, digits=3, words=f"{found.value:+.3f} ({best['kind']})"),
        Cell(words=f"[{found.low:+.3f}, {found.high:+.3f}]"),
    )


def _runs_of(runs: Runs, method: Mapping[str, Any]) -> pd.DataFrame:
    return having(runs.whole, configuration=method["configuration"])


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `controls`."""
    return {"controls": Controls}
