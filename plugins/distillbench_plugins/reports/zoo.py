"""Every method on one board, with its gain over the best student that has no teacher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Cell, Report, Row, Runs, Table
from distillbench.reports import cell, having, metric_of, records, seeds_note

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 500
SECTIONS = ("control", "loss", "schedule", "selector", "encoder", "head", "several")
_PARTS = {"schedule": "schedule", "selector": "selector", "encoder": "encoder", "head": "head"}


class Zoo(Report):
    """Every method at one k: quality, gain over the best control, and what it costs.

    A control is a run whose student learns nothing from a trained teacher of the same video. A
    method's gain is over the control with the best mean among those of its encoder, head and
    selector; the interval is paired by video and by seed, and an error that falls is a gain.
    Methods are grouped by the one choice in which they differ from the commonest.

    Knobs:
        k: frames of the students; 0 is the k that most runs have.
        metric: a quality metric of the data; the first one if it is empty.
    """

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = (
        {"schedule": "scratch", "selector": "uniform", "loss": "ce", "k": 6},
        {"schedule": "serial", "selector": "uniform", "loss": "rep,ce", "k": 6},
        {"schedule": "serial", "selector": "uniform", "loss": "rep,ce,pred", "k": 6},
    )

    def __init__(self, *, k: int = 0, metric: str = "") -> None:
        self.k, self.metric = k, metric

    def make(self, runs: Runs) -> Table:
        """Lists the controls, then every method with its gain, the best of each section first."""
        metric = metric_of(runs, self.metric)
        rows = _students(runs, self.k)
        if rows.empty:
            raise self.lacking("these results hold no student that sees k frames")
        methods = runs.over_seeds(rows)
        methods["control"] = [_is_control(runs, row) for row in records(methods)]
        methods["section"] = _sections(methods)
        methods = methods.sort_values(metric, ascending=metric in runs.errors, kind="stable")
        made: list[Row] = []
        rules: list[int] = []
        for section in SECTIONS:
            found = records(having(methods, section=section))
            if made and found:
                rules.append(len(made))
            for row in found:
                words = (section, str(row["method"]))
                made.append((words, _cells(runs, rows, methods, row, metric)))
        title = runs.metrics[metric]
        columns = tuple(("", name) for name in (title, "gain", "95 %", "MACs", "frames", "ms"))
        notes = (
            "gain over the control with the best mean of the same encoder, head and selector;"
            " the interval is paired by video and by seed",
            "that control was picked after looking, so gains are a little too small; no interval"
            " is corrected for the number of rows",
            seeds_note(made, columns, (title,)),
        )
        heads = ("differs in", "method")
        name = f"Every method on {runs.data}, k = {rows['k'].iloc[0]}"
        return Table(name, heads, columns, tuple(made), tuple(rules), notes)


def _students(runs: Runs, k: int) -> pd.DataFrame:
    """Returns the runs of students that see k frames, those trained on the most videos."""
    rows = runs.whole
    numbers = Counter(int(value) for value in rows["k"] if str(value).isdigit())
    chosen = k or max(numbers, key=lambda each: (numbers[each], each), default=0)
    kept: pd.DataFrame = rows[[str(value) == str(chosen) for value in rows["k"]]]
    return kept


def _is_control(runs: Runs, row: Mapping[str, Any]) -> bool:
    """Tells whether nothing of a trained teacher that saw the same video reaches the student."""
    stored = runs.stored(str(row["run"]))
    terms = [
        term["teacher"]
        for phase in stored["setup"]["phases"]
        for name, learner in phase["learners"].items()
        if name == stored["network"]
        for term in learner["terms"]
    ]
    return not any(
        teacher and teacher["videos"] == "matched" and not teacher["untrained"] for teacher in terms
    )


def _sections(methods: pd.DataFrame) -> list[str]:
    """Names what each method differs in from the commonest choices."""
    taught = having(methods, control=False)
    taught = methods if taught.empty else taught
    usual = {part: taught[column].mode().iloc[0] for part, column in _PARTS.items()}
    return [_section(row, usual) for row in records(methods)]


def _section(row: Mapping[str, Any], usual: Mapping[str, object]) -> str:
    if row["control"]:
        return "control"
    others = [part for part, column in _PARTS.items() if row[column] != usual[part]]
    if len(others) > 1:
        return "several"
    return others[0] if others else "loss"


def _cells(
    runs: Runs,
    rows: pd.DataFrame,
    methods: pd.DataFrame,
    row: Mapping[str, Any],
    metric: str,
) -> tuple[Cell, ...]:
    own = having(rows, configuration=row["configuration"])
    quality = cell(list(own[metric]), improving=int(own["still_improving"].sum()))
    cost = (
        Cell(float(row["macs"]) / 1e6, digits=2, unit="M"),
        Cell(float(row["frames"]), digits=1),
        Cell(1e3 * float(row["latency"]), digits=2),
    )
    same = {column: row[column] for column in ("encoder", "head", "selector")}
    rivals = records(having(methods, control=True, **same))
    if row["control"] or not rivals:
        return (quality, Cell(), Cell(), *cost)
    sides = (own, having(rows, configuration=rivals[0]["configuration"]))  # rivals stand in order
    if metric in runs.errors:
        sides = sides[::-1]
    found = runs.compare(*sides, metric=metric, resamples=_RESAMPLES)
    gain = Cell(found.value, digits=3, words=f"{found.value:+.3f}")
    return (quality, gain, Cell(words=f"[{found.low:+.3f}, {found.high:+.3f}]"), *cost)


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `zoo`."""
    return {"zoo": Zoo}
