"""What a run shows while it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from distillbench.cli.render.display import notes
from distillbench.data import indexing_progress
from distillbench.interfaces import Metric
from distillbench.training.callbacks import Observer

_MANY_SHARDS = 4


@contextmanager
def progress(metrics: Mapping[str, Metric]) -> Iterator[Observer]:
    """Shows a bar for every phase while it is trained: what is learnt, and how long is left.

    metrics: those that are installed, by name.
    """
    titles = {name: metric.title for name, metric in metrics.items()}
    with (
        _Lines(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=notes,
        ) as bars,
        indexing_progress(_Indexing(bars)),
    ):
        yield _Bars(bars, titles)


class _Indexing:
    """A bar for the indexing of shards, where there are enough of them to wait for."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._task is None and total >= _MANY_SHARDS:
            self._task = self._bars.add_task("indexing shards", total=total, learnt="")
        if self._task is not None:
            self._bars.update(self._task, completed=done)


class _Lines(Progress):
    """Bars, each with a line below it that says what was learnt."""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            lines = [self.make_tasks_table([task])]
            yield (
                Group(*lines, Text("  " + task.fields["learnt"], style="dim"))
                if task.fields["learnt"]
                else lines[0]
            )


class _Bars(Observer):
    """Turns what the training loop tells into progress bars."""

    def __init__(self, bars: Progress, titles: Mapping[str, str]) -> None:
        self._bars, self._titles = bars, titles
        self._task: TaskID | None = None

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._task = self._bars.add_task(
            f"phase {name}", total=epochs * steps, completed=done, learnt=""
        )

    def step_ended(self) -> None:
        if self._task is not None:
            self._bars.advance(self._task)

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        if self._task is not None:
            self._bars.update(self._task, learnt=_learnt(row, self._titles))

    def message(self, message: str) -> None:
        self._bars.console.print(message, soft_wrap=True)


def validated(learnt: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, str]:
    """Writes the title and the value of the metric that chooses epochs, the first of an epoch."""
    name, value = next(iter(learnt["validation"].items()))
    return titles.get(name, name), "-" if value is None else f"{value:.3f}"


def _learnt(row: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    parts = []
    for network, told in row["networks"].items():
        terms = " ".join(f"{name} {value:.3g}" for name, value in told["terms"].items())
        title, value = validated(told, titles)
        parts.append(f"{network}: {terms}, validation {title} {value}")
    return f"epoch {row['epoch']} " + "; ".join(parts)
