"""What a sweep shows: its plan with its cost, and one display of how it goes."""

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
from distillbench.cli.render.display import count, notes
from distillbench.cli.render.progress import validated
from distillbench.cli.render.terminal import styled
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ResultError
from distillbench.experiments.jobs import label, objective
from distillbench.experiments.plan import Job, Plan
from distillbench.experiments.sweep import Watcher
from distillbench.interfaces import Metric, RunStatus
from distillbench.results.store import Result, read

_LISTED = 40


def plan(planned: Plan, workers: int) -> None:
    """Prints how many runs and teachers a plan has, and what they cost."""
    specs = [*planned.finished, *(job.spec for job in planned.jobs)]
    told = Table(box=None, show_header=False, pad_edge=False)
    told.add_column(style="bold")
    told.add_column(overflow="fold")
    told.add_row("runs", f"{len(planned.jobs)} to make, {len(planned.finished)} stored already")
    shared = len({job.teacher for job in planned.jobs if job.teacher is not None})
    told.add_row(
        "teachers", f"{len(planned.teachers)} to train, {shared - len(planned.teachers)} stored"
    )
    told.add_row(
        "cost", f"{count(planned.work)} multiply-accumulates of training" + _hours(planned, workers)
    )
    told.add_row("workers", f"{workers} at once")
    for name, values in axes(specs).items():
        told.add_row(name, ", ".join(values))
    notes.print(told)
    for spec in [job.spec for job in planned.jobs][:_LISTED]:
        notes.print(styled("  [dim]{}[/] {}", spec.key, label(spec)))
    if len(planned.jobs) > _LISTED:
        notes.print(f"  ... and {len(planned.jobs) - _LISTED} more")


def _hours(planned: Plan, workers: int) -> str:
    if planned.pace is None:
        return "; how long that takes is known once a run has ended"
    return (
        f", about {duration(planned.pace * planned.work / workers)} at the pace of the stored runs"
    )


def axes(specs: Sequence[RunSpec]) -> dict[str, list[str]]:
    """Lists the settings in which runs differ, and their values."""
    values: dict[str, dict[str, None]] = {}
    for spec in specs:
        for name, value in {
            "data": spec.data.name,
            "schedule": spec.schedule.name,
            "selector": spec.selector.name,
            "k": str(spec.k),
            "loss": objective(spec),
            "seed": str(spec.seed),
        }.items():
            values.setdefault(name, {})[value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def duration(seconds: float) -> str:
    """Writes a time with the precision that an estimate deserves."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def live(planned: Plan, results: Path, metrics: Mapping[str, Metric]) -> Iterator[Board]:
    """Shows how a sweep goes: one display in a terminal, a line a run elsewhere.

    metrics: those that are installed, by name.
    """
    board = Board(planned, results, metrics)
    began = time.monotonic()
    try:
        if notes.is_terminal:
            with Live(get_renderable=board.render, console=notes, refresh_per_second=4):
                yield board
        else:
            yield board
    finally:
        left = len(planned.jobs) - board.done - board.failures
        stopped = f", {left} left: the same command goes on" if left else ""
        failed = styled(", [red]{} failed[/]", board.failures) if board.failures else ""
        notes.print(
            Text.assemble(
                f"{board.done} finished",
                failed,
                f"{stopped} in {duration(time.monotonic() - began)}",
            )
        )


class Board(Watcher):
    """What is known of a sweep while it goes on."""

    def __init__(self, planned: Plan, results: Path, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics
        self._titles = {name: metric.title for name, metric in metrics.items()}
        self.done = self.failures = 0
        self._total, self._work = len(planned.jobs), planned.work
        self._teachers = planned.teachers
        self._finished = 0.0
        self._busy: dict[str, tuple[Job, float, str]] = {}
        self._began = time.monotonic()
        self._best: tuple[float, str] | None = None
        self._consider_all([results / f"{spec.key}.json" for spec in planned.finished])

    def started(self, job: Job) -> None:
        """Lists a run as being made."""
        self._busy[job.spec.key] = (job, time.monotonic(), "begins")

    def trained(self, job: Job, row: Mapping[str, Any]) -> None:
        """Shows how far a run has come."""
        found = {name: validated(told, self._titles) for name, told in row["networks"].items()}
        title = next((title for title, _ in found.values()), "")
        values = ", ".join(f"{name} {value}" for name, (_, value) in found.items())
        _, began, _ = self._busy[job.spec.key]
        self._busy[job.spec.key] = (
            job,
            began,
            f"{row['phase']} epoch {row['epoch']}: validation {title} {values}",
        )

    def finished(self, job: Job, result: Result) -> None:
        """Prints the line of a run that has its result."""
        _, began, _ = self._busy.pop(job.spec.key)
        self.done += 1
        self._finished += job.work + self._teachers.pop(job.teacher or "", 0.0)
        told = self._consider(result, label(job.spec))
        took = duration(time.monotonic() - began)
        notes.print(f"[{self._count()}] {label(job.spec)}: {told} ({took})")

    def failed(self, job: Job, status: RunStatus, reason: str, again: bool) -> None:
        """Prints the line of a run that has none."""
        self._busy.pop(job.spec.key, None)
        self.failures += not again
        then = "; it is tried again" if again else ""
        told = f"[{self._count()}] {label(job.spec)}: {status}: {reason}{then}"
        notes.print(told, style="red")

    def render(self) -> Group:
        """Draws the display."""
        bar = ProgressBar(total=max(self._work, 1.0), completed=self._finished, width=40)
        head = Table.grid(padding=(0, 2))
        failed = Text(f"{self.failures} failed", "red" if self.failures else "")
        head.add_row(
            bar, f"{self._count()} runs", f"{len(self._busy)} running", failed, self._left()
        )
        lines = Table.grid(padding=(0, 2))
        for job, began, state in self._busy.values():
            took = duration(time.monotonic() - began)
            lines.add_row("  " + label(job.spec), Text(state, "dim"), took)
        best = Text("" if self._best is None else f"  best so far: {self._best[1]}", "green")
        return Group(head, lines, best)

    def _count(self) -> str:
        return f"{self.done + self.failures}/{self._total}"

    def _left(self) -> str:
        if not self._finished:
            return "time left: known after the first run"
        pace = (time.monotonic() - self._began) / self._finished
        return f"about {duration(pace * max(self._work - self._finished, 0.0))} left"

    def _consider_all(self, paths: Sequence[Path]) -> None:
        for path in paths:
            with suppress(ResultError):  # gone or damaged since the plan was made
                result = read(path)
                schedule = result.content["setup"]["schedule"]["name"]
                self._consider(result, f"{schedule} (stored already)")

    def _consider(self, result: Result, name: str) -> str:
        """Writes the metric that ranks a result, and takes it for the best where none is better."""
        first = first_of(result.content, self._metrics)
        value = result.content["metrics"][first.name]
        if value is None:
            return f"{first.title} -"
        told = f"{first.title} {value:.4f}"
        worth = value if first.higher_is_better else -value
        if self._best is None or worth > self._best[0]:
            self._best = (worth, f"{told}, {name}")
        return told
