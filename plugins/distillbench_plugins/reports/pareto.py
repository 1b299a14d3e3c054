"""Quality against cost, and the front that no method beats on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from distillbench import hookimpl
from distillbench.interfaces import Figure, Report, Runs
from distillbench.reports import INCHES, OTHERS, Curve, curves, legend, metric_of, plain_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COSTS = {
    "macs": ("multiply-accumulates a video", ""),
    "latency": ("time for one video", "s"),
    "frames": ("frames read a video", ""),
    "bytes": ("read a video", "B"),
    "parameters": ("parameters", ""),
}
"""What a cost is called, and its unit."""


class Pareto(Report):
    """Quality against cost: a curve a method, and the front that no point beats on both.

    Every point lies at the cost that was measured: where methods cost the same, they are
    distinguished by their transparency.

    Knobs:
        cost: what it costs to classify a video.
        metric: the column of a quality metric; by default the first one.
        most: how many methods are distinguished; the others are drawn in grey.
    """

    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple({"k": k} for k in (6, 10, "all"))

    def __init__(
        self,
        *,
        cost: Literal["macs", "latency", "frames", "bytes", "parameters"] = "macs",
        metric: str = "",
        most: int = 12,
    ) -> None:
        self.cost, self.metric, self.most = cost, metric, most

    def make(self, runs: Runs) -> Figure:
        """Makes the figure of the runs on all training data."""
        metric = metric_of(runs, self.metric)
        rows = runs.whole
        rows = rows.assign(**{self.cost: rows[self.cost].astype(float)})
        rows = rows[rows[self.cost] > 0]  # what could not be counted, and what a log scale lacks
        found = curves(runs, rows, metric, self.most)
        if not found:
            raise self.lacking(f"quality against cost needs runs whose {self.cost} are known")

        def draw(plt: Any, columns: int) -> Any:
            return self._drawn(plt, columns, found, metric, runs)

        return Figure(draw)

    def _drawn(
        self, plt: Any, columns: int, found: Sequence[Curve], metric: str, runs: Runs
    ) -> Any:
        from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

        size = (INCHES[columns], 4.9 if columns == 1 else 3.9)
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        handles = [self._curve(axis, curve, metric) for curve in found]
        front = axis.step(
            *_front(found, self.cost, metric),
            where="post",
            color="#000000",
            linewidth=1,
            marker="o",
            markersize=8,
            fillstyle="none",
            markeredgewidth=0.8,
            zorder=1.5,
            label="Pareto front",
        )
        title, unit = _COSTS[self.cost]
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 4.0)))
        axis.xaxis.set_major_formatter(EngFormatter(unit))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(title)
        axis.set_ylabel(f"{plain_words(runs.metrics[metric])} on test videos")
        about = f"{plain_words(runs.data)}; mean and deviation over seeds"
        axis.set_title(f"Quality against cost\n{about}", loc="left")
        legend(figure, [*handles, *front], columns)
        return figure

    def _curve(self, axis: Any, curve: Curve, metric: str) -> Any:
        look = curve.look or OTHERS
        x, y = (curve.rows[name].to_numpy(dtype=float) for name in (self.cost, metric))
        if f"{metric}_sd" in curve.rows:
            spread = np.nan_to_num(curve.rows[f"{metric}_sd"].to_numpy(dtype=float))
            axis.errorbar(x, y, spread, fmt="none", ecolor=(look.color, 0.35), elinewidth=1)
        (line,) = axis.plot(
            x,
            y,
            color=look.color,
            alpha=0.7,
            marker=look.marker,
            markersize=4.5,
            markeredgewidth=0,
            linestyle=look.line,
            linewidth=0.8,
            zorder=2 if curve.look else 1,
            label=curve.method if curve.look else "other methods",
        )
        return line


def _front(
    found: Sequence[Curve], cost: str, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keeps the points that are better than every cheaper one."""
    points = sorted(
        (float(c), -float(q))
        for curve in found
        for c, q in zip(curve.rows[cost], curve.rows[metric], strict=True)
    )
    front: list[tuple[float, float]] = []
    for paid, negative in points:
        if not front or -negative > front[-1][1]:
            front.append((paid, -negative))
    array = np.array(front, dtype=np.float64)
    return array[:, 0], array[:, 1]


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `pareto`."""
    return {"pareto": Pareto}
