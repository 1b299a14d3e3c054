"""A report: a figure."""

from __future__ import annotations

from typing import Any

from distillbench import hookimpl
from distillbench.interfaces import Figure, Report, Runs
from distillbench.reports import INCHES, metric_of, plain_words, records


class Bars(Report):
    """A bar a method, as long as its quality.

    Knobs:
        metric: the column of a quality metric; by default the first one.
    """

    def __init__(self, *, metric: str = "") -> None:
        self.metric = metric

    def make(self, runs: Runs) -> Figure:
        """Makes the figure of the runs on all training data."""
        metric = metric_of(runs, self.metric)
        if runs.whole.empty:
            raise self.lacking("bars need runs")
        rows = records(runs.over_seeds(runs.whole))
        names = [plain_words(f"{row['method']}, k = {row['k']}"[:40]) for row in rows]

        def draw(plt: Any, columns: int) -> Any:
            figure, axis = plt.subplots(
                figsize=(INCHES[columns], 1 + 0.3 * len(rows)), layout="constrained"
            )
            axis.barh(range(len(rows)), [float(row[metric]) for row in rows], color="#0072B2")
            axis.set_yticks(range(len(rows)), names)
            axis.set_xlabel(plain_words(runs.metrics[metric]))
            return figure

        return Figure(draw)


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `bars`."""
    return {"bars": Bars}
