"""Shows the progress of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Group, RenderableType
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from distillbench.cli.render.display import bar_columns, notes
from distillbench.data import indexing_progress
from distillbench.interfaces import Metric
from distillbench.training.callbacks import Observer

_MANY_SHARDS = 4


@contextmanager
def progress(metrics: Mapping[str, Metric]) -> Iterator[Observer]:
    """Shows a progress bar for every phase of training, with losses and the time left.

    metrics: the installed metrics by name.
    """
    titles = {name: metric.title for name, metric in metrics.items()}
    with (
        _BarsWithLosses(
            *bar_columns(MofNCompleteColumn(), TextColumn("steps")),
            console=notes,
        ) as bars,
        indexing_progress(_Indexing(bars)),
    ):
        yield _Bars(bars, titles)


class _Indexing:
    """Shows a bar while shards are indexed, if there are enough to notice the time."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._task is None and total >= _MANY_SHARDS:
            self._task = self._bars.add_task("indexing shards", total=total, losses="")
        if self._task is not None:
            self._bars.update(self._task, completed=done)


class _BarsWithLosses(Progress):
    """Progress bars, each with a line below it for losses and validation metrics."""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            bar = self.make_tasks_table([task])
            losses = task.fields["losses"]
            yield Group(bar, Text("  " + losses, style="dim")) if losses else bar


class _Bars(Observer):
    """Turns the events of the training loop into progress bars."""

    def __init__(self, bars: Progress, titles: Mapping[str, str]) -> None:
        self._bars, self._titles = bars, titles
        self._task: TaskID | None = None

    def phase_started(self, name: str, epochs: int, steps: int, done: int) -> None:
        self._task = self._bars.add_task(
            f"phase {name}", total=epochs * steps, completed=done, losses=""
        )

    def step_ended(self) -> None:
        if self._task is not None:
            self._bars.advance(self._task)

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        if self._task is not None:
            self._bars.update(self._task, losses=_losses(row, self._titles))

    def message(self, message: str) -> None:
        self._bars.console.print(message, soft_wrap=True)


def validation_of(network: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, str]:
    """Writes the title and the value of the metric that selects the best epoch.

    network: what the history stores about one network and epoch.
    titles: the titles of metrics by name.
    """
    name, value = next(iter(network["validation"].items()))  # the selecting metric is stored first
    return titles.get(name, name), "-" if value is None else f"{value:.3f}"


def _losses(row: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    parts = []
    for network, numbers in row["networks"].items():
        terms = " ".join(f"{name} {value:.3g}" for name, value in numbers["terms"].items())
        title, value = validation_of(numbers, titles)
        parts.append(f"{network}: {terms}, validation {title} {value}")
    return f"epoch {row['epoch']} " + "; ".join(parts)
