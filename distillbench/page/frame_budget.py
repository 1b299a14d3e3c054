"""Quality against frames: a curve a method, and how many frames each needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distillbench.analysis.metric_columns import MetricColumn
from distillbench.page.board import DataBoard
from distillbench.page.columns import known
from distillbench.reports.curves import frames_needed

SHARE = 0.99
"""The share of the best quality with all frames that is good enough."""


def frame_budget(part: DataBoard, start: int) -> Mapping[str, Any]:
    """Describes the curves of a data set's runs on all training videos, by metric.

    start: the number of the data set's first row on the page. `whole`: the best quality of a
    network that sees all frames; `goal`: the share of it; `curves`: `method`, `rows` in the order
    of k, and `needed`: the least k at the goal, None where it is not reached. A metric of which
    less is better has no goal.
    """
    metrics = [column for column in part.metrics if column.is_judge]
    return {column.name: _of_metric(part, column, start) for column in metrics}


def _of_metric(part: DataBoard, metric: MetricColumn, start: int) -> Mapping[str, Any]:
    most = max((row.cells["train_videos"] for row in part.rows if row.results), default=0)
    curves: dict[str, list[tuple[int, float, int]]] = {}
    whole: list[float] = []
    for place, row in enumerate(part.rows):
        value = known(row.cells.get(metric.name)) if row.is_trained else None
        if value is None or row.cells["train_videos"] != most:
            continue
        if row.cells["k"] == "all":
            whole.append(value)
        else:
            point = (int(row.cells["k"]), value, start + place)
            curves.setdefault(row.method, []).append(point)
    best = max(whole) if whole and metric.higher_is_better else None
    goal = None if best is None else SHARE * best
    return {
        "whole": best,
        "goal": goal,
        "curves": [_curve(method, points, goal) for method, points in curves.items()],
    }


def _curve(
    method: str, points: list[tuple[int, float, int]], goal: float | None
) -> Mapping[str, Any]:
    ordered = sorted(points)
    ks, quality = (np.array([point[n] for point in ordered], dtype=np.float64) for n in (0, 1))
    needed = None if goal is None else frames_needed(ks, quality, goal)
    return {
        "method": method,
        "rows": [place for _, _, place in ordered],
        "needed": None if needed is None else int(needed),
        "first": int(ks[0]),
    }
