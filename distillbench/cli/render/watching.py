"""Prints the plan of a sweep with its cost, and shows its progress in one display."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distillbench.analysis.metric_columns import first_of
from distillbench.cli.render.display import notes
from distillbench.cli.render.escaping import one_line
from distillbench.cli.render.progress import validation_of
from distillbench.cli.render.terminal import styled
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.experiments.jobs import label, objective
from distillbench.experiments.plan import Job, Plan
from distillbench.experiments.sweep import Watcher
from distillbench.interfaces import Metric, RunStatus
from distillbench.reports.amounts import count, duration
from distillbench.results.store import Result, read

_MOST_LISTED = 40
_ELSEWHERE = "another sweep makes some of these runs, which are then taken from it"


def plan(planned: Plan, workers: int) -> None:
    """Prints how many runs and teachers a plan has to make, and what they cost.

    planned: the plan.
    workers: how many runs are made at once.
    """
    specs = [*planned.finished, *(job.spec for job in planned.jobs)]
    teachers = {job.teacher for job in planned.jobs if job.teacher is not None}
    new_teachers = len(planned.teachers)
    operations = f"{count(planned.work)} multiply-accumulates of training"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("runs", f"{len(planned.jobs)} to make, {len(planned.finished)} stored already")
    table.add_row("teachers", f"{new_teachers} to train, {len(teachers) - new_teachers} stored")
    table.add_row("cost", operations + _estimated_time(planned, workers))
    table.add_row("workers", f"{workers} at once")
    for name, values in axes(specs).items():
        table.add_row(name, ", ".join(values))
    notes.print(table)
    for job in planned.jobs[:_MOST_LISTED]:
        notes.print(styled("  [dim]{}[/] {}", job.spec.key, _name(job)))
    if len(planned.jobs) > _MOST_LISTED:
        notes.print(f"  ... and {len(planned.jobs) - _MOST_LISTED} more")


def _name(job: Job) -> str:
    return one_line(label(job.spec))  # an arm may be called anything


def _estimated_time(planned: Plan, workers: int) -> str:
    if planned.pace is None:
        return "; the time is unknown until a run has ended"
    seconds = planned.pace * planned.work / workers
    return f", about {duration(seconds)} at the pace of the stored runs"


def axes(specs: Sequence[RunSpec]) -> dict[str, list[str]]:
    """Lists the settings in which runs differ, each with its values in order of appearance."""
    values: dict[str, dict[str, None]] = {}  # dictionaries, unlike sets, keep the order
    for spec in specs:
        settings = {
            "data": spec.data.name,
            "schedule": spec.schedule.name,
            "selector": spec.selector.name,
            "k": str(spec.k),
            "loss": objective(spec),
            "seed": str(spec.seed),
        }
        for name, value in settings.items():
            values.setdefault(name, {})[value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


@contextmanager
def live(planned: Plan, results: Path, metrics: Mapping[str, Metric]) -> Iterator[Board]:
    """Shows the progress of a sweep: one display in a terminal, one line per run elsewhere.

    planned: the runs to make.
    results: the folder where results are stored.
    metrics: the installed metrics by name.
    """
    board = Board(planned, results, metrics)
    began = time.monotonic()
    try:
        if notes.is_terminal:
            # The display is drawn on a timer, because elapsed times change between events.
            with Live(get_renderable=board.render, console=notes, refresh_per_second=4):
                yield board
        else:
            yield board
    finally:
        left = len(planned.jobs) - board.done - board.failures
        stopped = f", {left} left: the same command continues" if left else ""
        failed = styled(", [red]{} failed[/]", board.failures) if board.failures else ""
        took = duration(time.monotonic() - began)
        notes.print(Text.assemble(f"{board.done} finished", failed, f"{stopped} in {took}"))


class Trials(Watcher):
    """Prints a line for every trial of a search, with its quality on validation videos."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._titles = {name: metric.title for name, metric in metrics.items()}
        self._began: dict[str, float] = {}

    def started(self, job: Job) -> None:
        """Remembers when a trial began."""
        self._began[job.spec.key] = time.monotonic()

    def finished(self, job: Job, result: Result) -> None:
        """Prints the quality of the epoch whose weights were kept."""
        last = job.spec.phases[-1].name
        epochs = {
            row["epoch"]: row["networks"][job.spec.reports]
            for row in result.content["history"]
            if row["phase"] == last and job.spec.reports in row["networks"]
        }
        best = epochs[max(epochs)]["best"]
        title, value = validation_of(epochs[best], self._titles)
        self._print(job, f"validation {title} {value}, epoch {best} of {max(epochs)}")

    def stopped(self, job: Job, reason: str, reached: float | None) -> None:
        """Prints that it was behind."""
        self._print(job, reason, "dim")

    def failed(self, job: Job, status: RunStatus, reason: str, again: bool) -> None:
        """Prints why it has no result."""
        self._print(job, f"{status}: {reason}{'; it is tried again' if again else ''}", "red")

    def elsewhere(self) -> None:
        """Prints why trials wait that nobody makes here."""
        notes.print(_ELSEWHERE)

    def _print(self, job: Job, end: str, style: str = "") -> None:
        took = duration(time.monotonic() - self._began[job.spec.key])
        notes.print(f"{job.spec.key} {_name(job)}: {end} ({took})", style=style or None)


class Board(Watcher):
    """The state of a sweep in progress: what is running, how much is done, and the best result.

    done: the number of runs that have a result.
    failures: the number of runs that failed.
    """

    def __init__(self, planned: Plan, results: Path, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics
        self._titles = {name: metric.title for name, metric in metrics.items()}
        self.done = 0
        self.failures = 0
        self._total = len(planned.jobs)
        self._work = planned.work
        self._teachers = planned.teachers
        self._finished_work = 0.0
        self._running: dict[str, tuple[Job, float, str]] = {}
        self._began = time.monotonic()
        self._best: tuple[float, str] | None = None
        self._consider_all([results / f"{spec.key}.json" for spec in planned.finished])

    def started(self, job: Job) -> None:
        """Lists a run as running."""
        self._running[job.spec.key] = (job, time.monotonic(), "begins")

    def trained(self, job: Job, row: Mapping[str, Any]) -> None:
        """Shows the last epoch of a run."""
        found = {
            name: validation_of(numbers, self._titles) for name, numbers in row["networks"].items()
        }
        title = next((title for title, _ in found.values()), "")
        values = ", ".join(f"{name} {value}" for name, (_, value) in found.items())
        state = f"{row['phase']} epoch {row['epoch']}: validation {title} {values}"
        _, began, _ = self._running[job.spec.key]
        self._running[job.spec.key] = (job, began, state)

    def finished(self, job: Job, result: Result) -> None:
        """Prints a line for a run that has its result."""
        _, began, _ = self._running.pop(job.spec.key)
        self.done += 1
        # Only the first run of each shared teacher trained it, so its work is counted once.
        self._finished_work += job.work + self._teachers.pop(job.teacher or "", 0.0)
        quality = self._consider(result, _name(job))
        took = duration(time.monotonic() - began)
        notes.print(f"[{self._count()}] {_name(job)}: {quality} ({took})")

    def failed(self, job: Job, status: RunStatus, reason: str, again: bool) -> None:
        """Prints a line for a run that failed."""
        self._running.pop(job.spec.key, None)
        self.failures += not again
        retry = "; it is tried again" if again else ""
        line = f"[{self._count()}] {_name(job)}: {status}: {reason}{retry}"
        notes.print(line, style="red")

    def stopped(self, job: Job, reason: str, reached: float | None) -> None:
        """Prints a line for a run that was stopped."""
        self._running.pop(job.spec.key, None)
        self.done += 1
        self._finished_work += job.work + self._teachers.pop(job.teacher or "", 0.0)
        notes.print(f"[{self._count()}] {_name(job)}: {reason}", style="dim")

    def elsewhere(self) -> None:
        """Prints why runs wait that nobody makes here."""
        notes.print(_ELSEWHERE)

    def render(self) -> Group:
        """Draws the display."""
        bar = ProgressBar(total=max(self._work, 1.0), completed=self._finished_work, width=40)
        runs, running = f"{self._count()} runs", f"{len(self._running)} running"
        failed = Text(f"{self.failures} failed", "red" if self.failures else "")
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, runs, running, failed, self._time_left())
        lines = Table.grid(padding=(0, 2))
        for job, began, state in self._running.values():
            took = duration(time.monotonic() - began)
            lines.add_row("  " + _name(job), Text(state, "dim"), took)
        best = Text("" if self._best is None else f"  best so far: {self._best[1]}", "green")
        return Group(head, lines, best)

    def _count(self) -> str:
        return f"{self.done + self.failures}/{self._total}"

    def _time_left(self) -> str:
        if not self._finished_work:
            return "time left: known after the first run"
        seconds_per_work = (time.monotonic() - self._began) / self._finished_work
        work_left = max(self._work - self._finished_work, 0.0)
        return f"about {duration(seconds_per_work * work_left)} left"

    def _consider_all(self, paths: Sequence[Path]) -> None:
        for path in paths:
            with suppress(ResultError):  # removed or damaged since the plan was made
                result = read(path)
                schedule = result.record.setup.schedule.name
                self._consider(result, f"{schedule} (stored already)")

    def _consider(self, result: Result, name: str) -> str:
        """Writes the metric that ranks a result, and remembers the result if it is the best so far.

        name: what the display calls the result.
        """
        first = first_of(result.record, self._metrics)
        value = result.record.metrics[first.name]
        if value is None:
            return f"{first.title} -"
        quality = f"{first.title} {value:.4f}"
        rank = value if first.higher_is_better else -value
        if self._best is None or rank > self._best[0]:
            self._best = (rank, f"{quality}, {name}")
        return quality
