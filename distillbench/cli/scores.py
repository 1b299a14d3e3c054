"""Writes ranking metrics."""

from __future__ import annotations

import dataclasses
import json

from distillbench.evaluation.ranking import RankingMetrics

_TITLES = {
    "gap": "GAP@20",
    "map_at_20": "mAP@20",
    "map_at_20_all_classes": "mAP@20, empty classes as 0",
    "map": "mAP",
    "hit_at_1": "Hit@1",
    "perr": "PERR",
    "videos": "videos",
    "classes": "classes",
    "classes_with_positives": "classes with a positive",
    "ties": "ties",
}


def render(metrics: RankingMetrics, form: str) -> str:
    """Writes metrics in one of the forms table, markdown, csv, json."""
    values = dataclasses.asdict(metrics)
    if form == "json":
        return json.dumps(values, indent=1) + "\n"
    if form == "csv":
        return ",".join(_TITLES) + "\n" + ",".join("" if values[n] is None else repr(values[n]) for n in _TITLES) + "\n"
    from tabulate import tabulate

    rows = [(title, _cell(values[name])) for name, title in _TITLES.items()]
    style = "github" if form == "markdown" else "simple"
    return (
        tabulate(rows, headers=("metric", "value"), tablefmt=style, colalign=("left", "right"), disable_numparse=True)
        + "\n"
    )


def _cell(value: float | int | None) -> str:
    if value is None:
        return "not available: some scores are missing"
    return f"{value:.6f}" if isinstance(value, float) else f"{value:,}"
