"""How the networks of every method learn, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Figure, Report, Runs
from distillbench.reports import (
    INCHES,
    OTHERS,
    Curve,
    curves,
    frames,
    having,
    legend,
    metric_of,
    plain_words,
    records,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_History = Sequence[Mapping[str, Any]]


class LearningCurves(Report):
    """Learning curves: quality on validation videos after every epoch, of all networks of a method.

    The network that is reported is drawn in full, those that taught it thin and in the same color;
    phases follow one another. Curves are means over seeds, a band is their range.

    Knobs:
        k: the number of frames of the runs that are drawn; 0 takes the largest there is.
        metric: a metric that was validated; by default the first one.
        most: how many methods are distinguished; the others are drawn in grey.
    """

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple({"k": k} for k in (6, 10, "all"))

    def __init__(self, *, k: int = 0, metric: str = "", most: int = 8) -> None:
        self.k, self.metric, self.most = k, metric, most

    def make(self, runs: Runs) -> Figure:
        """Makes the figure of the runs on all training data; where all see all frames, of those."""
        metric = metric_of(runs, self.metric)
        whole = runs.whole
        known = frames(whole)
        if self.k and self.k not in known:
            there = ", ".join(map(str, known)) or "none"
            raise ConfigError(
                [f"report learning-curves: no run has k={self.k}; there are: {there}"]
            )
        k: int | str = self.k or max(known, default="all")
        found = curves(runs, having(whole, k=k), next(iter(runs.metrics)), self.most)
        learned = [
            (curve, of)
            for curve in found
            if (of := _learned(runs, having(whole, k=k, method=curve.method), metric))
        ]
        if not learned:
            raise self.lacking(f"no epoch of these runs was validated by {metric}")

        def draw(plt: Any, columns: int) -> Any:
            about = f"{runs.data}, k = {k}"
            return self._drawn(plt, columns, learned, about, runs.metrics[metric])

        return Figure(draw)

    def _drawn(
        self,
        plt: Any,
        columns: int,
        learned: Sequence[tuple[Curve, Mapping[str, NDArray[np.float64]]]],
        about: str,
        title: str,
    ) -> Any:
        size = (INCHES[columns], 4.9 if columns == 1 else 3.9)
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        handles: list[Any] = []
        teaching = set[str]()
        for curve, networks in learned:
            look = curve.look or OTHERS
            for place, (network, values) in enumerate(networks.items()):
                epochs = np.arange(1, values.shape[1] + 1)
                band = {"color": look.color, "linewidth": 0, "zorder": 1}
                if place:
                    teaching.add(network)
                    axis.plot(
                        epochs, values.mean(0), color=look.color, linewidth=0.7, linestyle=":"
                    )
                    continue
                handles += axis.plot(
                    epochs,
                    values.mean(0),
                    color=look.color,
                    marker=look.marker,
                    linestyle=look.line,
                    markersize=3 if len(epochs) <= 12 else 2,
                    zorder=3 if curve.look else 1,
                    label=curve.method if curve.look else "other methods",
                )
                axis.fill_between(epochs, values.min(0), values.max(0), alpha=0.15, **band)
        if teaching:
            label = f"its {' and '.join(sorted(teaching))}"
            handles += axis.plot([], [], color="#555555", linewidth=0.7, linestyle=":", label=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("epoch of the network, all phases")
        axis.set_ylabel(f"{plain_words(title)} on validation videos")
        heading = f"Learning curves\n{plain_words(about)}; mean and range over seeds"
        axis.set_title(heading, loc="left")
        legend(figure, handles, columns)
        return figure


def _learned(runs: Runs, rows: pd.DataFrame, metric: str) -> dict[str, NDArray[np.float64]]:
    """Collects the curves (seeds, epochs) of every network, the reported one first."""
    stored = [runs.stored(str(row["run"])) for row in records(rows)]
    reported = str(stored[0]["network"])
    names = dict.fromkeys(
        [reported, *(n for each in stored for row in each["history"] for n in row["networks"])]
    )
    found = {name: _curves([each["history"] for each in stored], name, metric) for name in names}
    return {name: values for name, values in found.items() if values.size}


def _curves(histories: Sequence[_History], network: str, metric: str) -> NDArray[np.float64]:
    """Collects a network's metric by seed and epoch, as long as all seeds have it.

    Phases are joined.
    """
    lines = [
        [
            row["networks"][network]["validation"][metric]
            for row in history
            if metric in row["networks"].get(network, {}).get("validation", {})
        ]
        for history in histories
    ]
    shortest = min(map(len, lines), default=0)
    shape = (len(lines), shortest)
    return np.array([line[:shortest] for line in lines], dtype=np.float64).reshape(shape)


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `learning-curves`."""
    return {"learning-curves": LearningCurves}
