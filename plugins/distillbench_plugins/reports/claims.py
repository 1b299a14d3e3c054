"""Which of the paper's claims hold in stored runs, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Cell, Report, Row, Runs, Table
from distillbench.reports import frames, having, picked
from distillbench_plugins.paper.methods import OBJECTIVES, of_the_paper

if TYPE_CHECKING:
    import pandas as pd

_METRIC = "gap"
_MODES = ("serial", "parallel")
_FEWER, _ALL = tuple(OBJECTIVES)[:-1], tuple(OBJECTIVES)[-1]


@dataclass(frozen=True)
class Method:
    """A method of the paper: what it is called, and the columns of its rows."""

    name: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """One comparison that a claim makes; the teacher alone is the same at every k."""

    claim: str
    a: Method
    b: Method


class Claims(Report):
    """The paper's seven claims: what each compares, at every k, paired by video and by seed.

    Knobs:
        resamples: how often the videos are drawn again.
    """

    needs = "table1"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple(
        {"schedule": "scratch", "selector": selector, "loss": "ce", "k": 6, "seed": seed}
        for selector in ("uniform", "first")
        for seed in (0, 1)
    )

    def __init__(self, *, resamples: int = 2000) -> None:
        if resamples < 100:
            raise ConfigError([f"report claims: resamples={resamples} is not at least 100"])
        self.resamples = resamples

    def make(self, runs: Runs) -> Table:
        """Lists every comparison that the runs allow, and names those that they do not."""
        rows: list[Row] = []
        absent: list[str] = []
        for comparison, k, part in _comparisons_at(runs):
            a, b = (_rows_of(part, method, k) for method in (comparison.a, comparison.b))
            videos = int(part["train_videos"].max())
            where = f"k = {k}, {videos} training videos"
            if a.empty or b.empty:
                what = f"{comparison.a.name} against {comparison.b.name}"
                absent.append(f"not run: {comparison.claim}: {what}, {where}")
                continue
            words = (comparison.claim, comparison.a.name, comparison.b.name, str(k), str(videos))
            rows.append((words, self._compared(runs, a, b)))
        if not rows:
            raise self.lacking("the claims compare methods of the paper, and no two of one k are")
        rows.sort(key=lambda row: row[0][0])
        title = f"The paper's claims on {runs.data}"
        heads = ("claim", "a", "b", "k", "train videos")
        columns = (("GAP@20", "a - b"), ("95 %", "from"), ("95 %", "to"), ("", "p"))
        sections = tuple(n for n in range(1, len(rows)) if rows[n][0][0] != rows[n - 1][0][0])
        notes = ("a minus b, on the same test videos, paired by video and by seed", *absent)
        return Table(title, heads, columns, tuple(rows), sections, notes)

    def _compared(self, runs: Runs, a: pd.DataFrame, b: pd.DataFrame) -> tuple[Cell, ...]:
        found = runs.compare(a, b, metric=_METRIC, resamples=self.resamples)
        seeds = found.paired_seeds
        improving = int(a["still_improving"].sum() + b["still_improving"].sum())
        numbers = (found.value, found.low, found.high)
        return (
            *(Cell(number, seeds=seeds, digits=4, improving=improving) for number in numbers),
            Cell(found.p, seeds=seeds, words=f"{found.p:.3g}", improving=improving),
        )


def _comparisons_at(runs: Runs) -> Iterator[tuple[Comparison, int, pd.DataFrame]]:
    """Yields every claim with each k and the runs among which it is tested."""
    rows = of_the_paper(runs.rows)
    whole = rows[rows["train_videos"] == rows["train_videos"].max()]
    for comparison in comparisons():
        for k in frames(whole):
            yield comparison, k, whole
    parts = rows[rows["train_videos"] < rows["train_videos"].max()]
    ks = frames(parts)
    if ks:
        comparison = Comparison("6 more so with less data", distilled("serial", _ALL), alone())
        for size in sorted(set(rows["train_videos"])):
            yield comparison, ks[-1], having(rows, train_videos=size)


def comparisons() -> Iterator[Comparison]:
    """Lists the comparisons at every k, claim by claim."""
    for selector in ("random", "first", "middle", "last", "first-middle-last"):
        others = alone(selector, f"{selector}-k")
        yield Comparison("1 uniform frames are the best", alone("uniform", "uniform-k"), others)
    for mode in _MODES:
        for losses in OBJECTIVES:
            yield Comparison("2 distilled beats alone", distilled(mode, losses), alone())
    for mode in _MODES:
        for losses in _FEWER:
            best, fewer = distilled(mode, _ALL), distilled(mode, losses)
            yield Comparison("3 three losses are the best", best, fewer)
    for losses in OBJECTIVES:
        serial, parallel = (distilled(mode, losses) for mode in _MODES)
        yield Comparison("4 serial is at least as good", serial, parallel)
    for mode in _MODES:
        for losses in OBJECTIVES:
            inner = distilled(mode, losses.replace("rep", "rep-intermediate", 1))
            last = distilled(mode, losses)
            yield Comparison("5 intermediate matching adds nothing", inner, last)
    teacher = Method("teacher", {"schedule": "teacher"})
    yield Comparison("7 few frames come close", distilled("serial", _ALL), teacher)
    yield Comparison("7 few frames come close", alone(), teacher)


def alone(selector: str = "uniform", name: str = "uniform-k alone") -> Method:
    """The student alone, trained and tested on the same kind of frames."""
    return Method(name, {"schedule": "scratch", "selector": selector})


def distilled(mode: str, losses: str) -> Method:
    """A distilled student on uniform frames."""
    columns = {"schedule": mode, "objective": losses, "selector": "uniform"}
    return Method(f"{mode} {losses}", columns)


def _rows_of(rows: pd.DataFrame, method: Method, k: int) -> pd.DataFrame:
    def is_seen(row: Mapping[str, Any]) -> bool:
        return str(row["k"]) in (str(k), "all")

    return picked(having(rows, **method.columns), is_seen)


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `claims`."""
    return {"claims": Claims}
