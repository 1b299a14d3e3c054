"""Quality against the number of frames, and how many are enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from distillbench import hookimpl
from distillbench.errors import ConfigError
from distillbench.interfaces import Figure, Report, Runs
from distillbench.reports import (
    INCHES,
    OTHERS,
    Curve,
    curves,
    frames_needed,
    having,
    legend,
    metric_of,
)
from distillbench.reports import plain_words as words

_BLACK = "#000000"


class Budget(Report):
    """Quality against k: a curve a method, and the k at which each is as good as all frames.

    The goal is a share of the quality of the best network that sees all frames.

    Knobs:
        share: the share of that quality that is good enough.
        metric: the column of a quality metric; by default the first one.
        most: how many methods are distinguished; the others are drawn in grey.
    """

    needs = "table1"
    check_rows: ClassVar[Sequence[Mapping[str, object]]] = tuple({"k": k} for k in (6, 10, "all"))

    def __init__(self, *, share: float = 0.99, metric: str = "", most: int = 12) -> None:
        if not 0 < share <= 1:
            raise ConfigError([f"report budget: share={share} is not above 0 and at most 1"])
        self.share, self.metric, self.most = share, metric, most

    def make(self, runs: Runs) -> Figure:
        """Makes the figure of the runs on all training data."""
        metric = metric_of(runs, self.metric)
        whole = runs.whole
        students = whole[whole["k"].astype(str) != "all"]
        found = curves(runs, students, metric, self.most)
        if not found:
            raise self.lacking("quality against frames needs students at several k")
        full = curves(runs, having(whole, k="all"), metric, 1)
        best = float(full[0].rows[metric].iloc[0]) if full else None

        def draw(plt: Any, columns: int) -> Any:
            return self._drawn(plt, columns, found, best, metric, runs)

        return Figure(draw)

    def _drawn(
        self,
        plt: Any,
        columns: int,
        found: Sequence[Curve],
        best: float | None,
        metric: str,
        runs: Runs,
    ) -> Any:
        size = (INCHES[columns], 5.4 if columns == 1 else 3.9)
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        goal = None if best is None else self.share * best
        handles = [self._curve(axis, curve, metric, goal) for curve in found]
        if best is not None:
            handles += [
                axis.axhline(best, color=_BLACK, linewidth=1, label="all frames"),
                axis.axhline(
                    self.share * best,
                    color=_BLACK,
                    linewidth=1,
                    linestyle=":",
                    label=f"{self.share:.3g} of it, the goal",
                ),
            ]
        axis.set_xlabel("frames the student sees (k)")
        axis.set_ylabel(f"{words(runs.metrics[metric])} on test videos")
        axis.set_xticks(_ticks({int(k) for curve in found for k in curve.rows["k"]}))
        about = f"{words(runs.data)}; mean and deviation over seeds"
        axis.set_title(f"How many frames are needed\n{about}", loc="left")
        legend(figure, handles, columns)
        return figure

    def _curve(self, axis: Any, curve: Curve, metric: str, goal: float | None) -> Any:
        look = curve.look or OTHERS
        ks = np.array([int(k) for k in curve.rows["k"]], dtype=np.float64)
        quality = curve.rows[metric].to_numpy(dtype=float)
        needed = None if goal is None else frames_needed(ks, quality, goal)
        label = curve.method
        if goal is not None:
            label += f": at k = {needed:.0f}" if needed is not None else ": not reached"
        (line,) = axis.plot(
            ks,
            quality,
            color=look.color,
            marker=look.marker,
            linestyle=look.line,
            markersize=4.5,
            zorder=2 if curve.look else 1,
            label=label if curve.look else "other methods",
        )
        if f"{metric}_sd" in curve.rows:
            spread = np.nan_to_num(curve.rows[f"{metric}_sd"].to_numpy(dtype=float))
            low, high = quality - spread, quality + spread
            axis.fill_between(ks, low, high, color=look.color, alpha=0.12, linewidth=0)
        if needed is not None and curve.look:
            mark = {"marker": "|", "markersize": 10, "markeredgewidth": 1.5}
            axis.plot(needed, goal, color=look.color, zorder=5, **mark)
        return line


def _ticks(ks: set[int]) -> list[int]:
    """Chooses the numbers of frames that are written: all, or as many as do not touch."""
    ordered = sorted(ks)
    apart = (ordered[-1] - ordered[0]) / 12
    kept = ordered[:1]
    for k in ordered[1:]:
        if k - kept[-1] >= apart:
            kept.append(k)
    return kept


@hookimpl
def reports() -> dict[str, type[Report]]:
    """Offers `budget`."""
    return {"budget": Budget}
