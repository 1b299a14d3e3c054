"""The paper's methods: which runs are of one, and what it calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distillbench.interfaces import Runs
from distillbench.reports import picked, records

if TYPE_CHECKING:
    import pandas as pd

QUALITY = {"gap": "GAP@20", "map_at_20": "mAP@20"}
SELECTORS = {
    "uniform": "Uniform-k",
    "random": "Random-k",
    "first": "First-k",
    "middle": "Middle-k",
    "last": "Last-k",
    "first-middle-last": "First-Middle-Last-k",
}
OBJECTIVES = {"rep": "L_rep", "rep,ce": "L_rep, L_CE", "rep,ce,pred": "L_rep, L_pred, L_CE"}
MODES = {"parallel": "Parallel", "serial": "Serial"}
SOURCE = "the paper's digits (YouTube-8M, single runs)"

_ORDER = ("rep", "rep-intermediate", "ce", "pred")
_PLAIN = {
    "loss.ce.label_smoothing": "0.0",
    "schedule.epochs_factor": "1",
    "schedule.targets": "own",
    "schedule.teacher": "trained",
}
"""What the settings of a method are that is not a control."""


def plain(runs: Runs) -> pd.DataFrame:
    """Returns the rows on all training data that are methods and baselines of the paper."""
    return of_the_paper(runs.whole)


def of_the_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Leaves controls out, and names each row's `objective`."""
    kept = picked(rows, is_plain)
    return kept.assign(objective=[objective(row) for row in records(kept)])


def is_plain(row: Mapping[str, Any]) -> bool:
    """Tells methods and baselines of the paper from controls."""
    settings: Mapping[str, str] = row["settings"]
    as_tested = row["train_selector"] == row["selector"]
    return as_tested and all(settings.get(n, v) == v for n, v in _PLAIN.items())


def objective(row: Mapping[str, Any]) -> str:
    """Names the losses of the first phase of the student, in the paper's order, without weights.

    A network that sees all frames is not a student: its losses are the labels'.
    """
    if row["k"] == "all":
        return "ce"
    names = re.sub(r":[^,\s]+", "", str(row["loss"])).partition(" > ")[0].split(",")
    return ",".join(
        sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else 9, name))
    )
