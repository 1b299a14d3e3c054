"""The methods of a figure: each with its rows and its look, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from distillbench.errors import ConfigError
from distillbench.interfaces import Runs
from distillbench.reports.style import Look, looks

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

OTHERS = Look("#bbbbbb", ".", "-")
"""The look of methods that are too many to be distinguished."""


@dataclass(frozen=True)
class Curve:
    """A method and its rows, means over seeds in the order of k; all frames come last.

    look: None for a method that is one of too many to have a look of its own.
    """

    method: str
    rows: pd.DataFrame
    look: Look | None


def curves(runs: Runs, rows: pd.DataFrame, metric: str, most: int) -> list[Curve]:
    """Splits rows into the curves of methods, the one that is best at its most frames first.

    most: how many have looks of their own; the others are drawn alike, so that none is left out.
    Raises `ConfigError` where it is negative.
    """
    if most < 0:
        raise ConfigError([f"most={most}: so many methods cannot be distinguished; 0 or more can"])
    rows = rows[rows[metric].notna()]
    given = looks(runs.methods)
    found = []
    for method, of in rows.groupby("method", sort=False):
        joined = runs.over_seeds(of)
        order = [float("inf") if k == "all" else int(k) for k in joined["k"]]
        joined = joined.assign(_order=order).sort_values("_order", kind="stable")
        found.append((str(method), joined.drop(columns="_order")))
    found.sort(key=lambda pair: (-float(pair[1][metric].iloc[-1]), pair[0]))
    return [
        Curve(method, joined, given[method] if place < most else None)
        for place, (method, joined) in enumerate(found)
    ]


def metric_of(runs: Runs, name: str) -> str:
    """Returns the metric of that name, the first one if it is empty; else raises `ConfigError`."""
    name = name or next(iter(runs.metrics))
    if name not in runs.metrics:
        known = ", ".join(runs.metrics)
        raise ConfigError([f"no metric is called '{name}'; there are: {known}"])
    return name


def frames_needed(
    ks: NDArray[np.float64], quality: NDArray[np.float64], goal: float
) -> float | None:
    """Finds the least k from which on a curve is at the goal, straight between its points.

    None where it ends below.
    """
    if quality[-1] < goal:
        return None
    below = np.flatnonzero(quality < goal)
    if not len(below):
        return float(ks[0])
    last = int(below[-1])
    share = (goal - quality[last]) / (quality[last + 1] - quality[last])
    return float(np.ceil(ks[last] + share * (ks[last + 1] - ks[last]) - 1e-9))
