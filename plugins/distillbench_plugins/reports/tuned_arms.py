"""What every arm of a tuning gains over one of them, as a table and as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from distillbench import hookimpl
from distillbench.interfaces import Cell, Difference, Figure, Report, Row, Runs, Table
from distillbench.reports import (
    INCHES,
    PALETTE,
    cell,
    frames,
    having,
    metric_of,
    plain_words,
    seeds_note,
)

if TYPE_CHECKING:
    import pandas as pd

_ROWS: tuple[Mapping[str, object], ...] = tuple(
    {"schedule": schedule, "k": 6, "seed": seed, "arm": arm}
    for schedule, arm in (("toy-a", "student alone"), ("toy-b", "taught"))
    for seed in (0, 1)
)


@dataclass(frozen=True)
class _Arm:
    """An arm's runs, and what it gains over the base, if it is not the base and there is one."""

    name: str
    rows: pd.DataFrame
    gain: Difference | None
    is_base: bool

    @property
    def improving(self) -> int:
        return int(self.rows["still_improving"].sum())


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How arms are compared.

    Knobs:
        over: the arm that gains are over.
        metric: a quality metric of the data; the first one if it is empty.
        resamples: of the bootstrap.
    """

    over: str = "student alone"
    metric: str = ""
    resamples: int = 2000

    def arms(self, report: Report, runs: Runs) -> tuple[str, list[_Arm]]:
        """Returns the metric, and the arms of the runs on all training data, the best first.

        Where students see k frames of several k, an arm of each k is one, named by its k too. Its
        gain is over the base of that k, or over a base that sees all frames; a network that sees
        all frames has none over students of several k.
        """
        metric, rows = metric_of(runs, self.metric), runs.whole
        rows = rows[rows["arm"] != ""]
        if rows.empty:
            raise report.lacking("these results hold no run that a tuning chose the settings of")
        names = list(dict.fromkeys(str(name) for name in rows["arm"]))
        if self.over not in names:
            listed = ", ".join(f"'{name}'" for name in names)
            raise report.lacking(f"no arm is called '{self.over}'; choose `over` among {listed}")
        bases = having(rows, arm=self.over)
        one_k, is_error = len(frames(rows)) < 2, metric in runs.errors
        found = []
        for (name, k), own in rows.groupby(["arm", rows["k"].astype(str)], sort=False):
            base = bases if one_k or not frames(bases) else having(bases, k=k)
            gain = None
            if name != self.over and not base.empty:
                sides = (base, own) if is_error else (own, base)
                gain = runs.compare(*sides, metric=metric, resamples=self.resamples)
            title = str(name) if one_k or k == "all" else f"{name}, k = {k}"
            found.append(_Arm(title, own, gain, is_base=name == self.over))
        sign = 1 if is_error else -1
        return metric, sorted(found, key=lambda arm: sign * float(arm.rows[metric].mean()))


class Arms(Report):
    """Every arm of a tuning: quality, its gain over the student alone, and what tuning it took.

    A gain is that of the arm's mean; its interval is paired by video and by seed, and an error that
    falls is a gain.
    """

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = _ROWS

    def __init__(self, *, compared: Compared = Compared()) -> None:
        self._compared = compared

    def make(self, runs: Runs) -> Table:
        """Lists the arms, the best first."""
        metric, found = self._compared.arms(self, runs)
        rows: list[Row] = [((arm.name,), _cells(arm, metric)) for arm in found]
        title = runs.metrics[metric]
        names = (title, "gain", "low", "high", "trials", "epochs", "training MACs", "improving")
        columns = tuple(("", name) for name in names)
        notes = (
            f"gain over '{self._compared.over}', with its 95 % interval, paired by video and by"
            " seed; no interval is corrected for the number of rows",
            "epochs of the student; training MACs are of all training, the teacher's too",
            "improving: seeds whose best epoch is their last",
            seeds_note(rows, columns, (title,)),
        )
        name = f"Every arm on {runs.data}"
        return Table(name, ("arm",), columns, tuple(rows), (), notes)


class Gains(Report):
    """What every arm of a tuning gains over the student alone, as a figure.

    A line is a 95 % interval, paired by video and by seed. Arms whose runs were still improving are
    drawn hollow.
    """

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = _ROWS

    def __init__(self, *, compared: Compared = Compared()) -> None:
        self._compared = compared

    def make(self, runs: Runs) -> Figure:
        """Makes the figure; the best arm is on top."""
        metric, every = self._compared.arms(self, runs)
        found = [arm for arm in every if arm.is_base or arm.gain is not None]
        gained, over = plain_words(runs.metrics[metric]), plain_words(self._compared.over)
        about = f"{plain_words(runs.data)}; 95 % intervals"

        def draw(plt: Any, columns: int) -> Any:
            size = (INCHES[columns], 0.9 + 0.2 * len(found))
            figure, axis = plt.subplots(figsize=size, layout="constrained")
            axis.axvline(0, color="#000000", linewidth=0.8)
            for place, arm in enumerate(reversed(found)):
                _line(axis, place, arm)
            axis.set_yticks(range(len(found)), [plain_words(arm.name) for arm in reversed(found)])
            axis.set_ylim(-0.5, len(found) - 0.5)
            axis.set_xlabel(f"{gained} gained over {over}")
            axis.set_title(about, loc="left")
            axis.grid(visible=False, axis="y")
            return figure

        return Figure(draw)


def _line(axis: Any, place: int, arm: _Arm) -> None:
    color, gain = PALETTE[0], arm.gain
    if gain is not None:
        axis.plot([gain.low, gain.high], [place, place], color=color, linewidth=1.2)
    axis.plot(
        [0.0 if gain is None else gain.value],
        [place],
        marker="o",
        markersize=4,
        color=color,
        markerfacecolor="white" if arm.improving else color,
    )


def _cells(arm: _Arm, metric: str) -> tuple[Cell, ...]:
    rows = arm.rows
    quality = cell(list(rows[metric]), digits=4, improving=arm.improving)
    effort = (
        Cell(float(rows["trials"].max()), digits=0),
        Cell(float(rows["student_epochs"].mean()), digits=1),
        _work(rows),
        Cell(float(arm.improving), digits=0),
    )
    if arm.gain is None:
        return (quality, Cell(), Cell(), Cell(), *effort)
    numbers = (arm.gain.value, arm.gain.low, arm.gain.high)
    return (quality, *(Cell(n, digits=4, words=f"{n:+.4f}") for n in numbers), *effort)


def _work(rows: pd.DataFrame) -> Cell:
    work = float(rows["training_macs"].astype(float).mean())
    return Cell() if math.isnan(work) else Cell(work / 1e12, digits=1, unit="T")


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `tuned-arms` and `tuned-gains`."""
    return {"tuned-arms": Arms, "tuned-gains": Gains}
