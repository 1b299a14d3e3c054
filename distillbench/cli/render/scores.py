"""Writes the metrics of predictions as text."""

from __future__ import annotations

import json

import pandas as pd
from tabulate import tabulate

from distillbench.cli.render.escaping import markdown, one_line
from distillbench.evaluation.score_files import Scored


def render(found: Scored, form: str) -> str:
    """Writes metrics in one of the formats table, markdown, csv, json."""
    values: dict[str, float | int | None] = {
        name: value for name, (_, value) in found.metrics.items()
    }
    values |= found.counts
    if form == "json":
        return json.dumps(values, indent=1) + "\n"
    if form == "csv":
        return pd.DataFrame([values]).to_csv(index=False)
    style, escape = ("github", markdown) if form == "markdown" else ("simple", one_line)
    titles = {name: title for name, (title, _) in found.metrics.items()}
    rows = [
        (escape(titles.get(name, name.replace("_", " "))), _cell(value))
        for name, value in values.items()
    ]
    table = tabulate(
        rows,
        headers=("metric", "value"),
        tablefmt=style,
        colalign=("left", "right"),
        disable_numparse=True,  # tabulate would write the numbers again
    )
    return table + "\n"


def _cell(value: float | int | None) -> str:
    if value is None:
        return "not available: some scores are missing"
    return f"{value:.6f}" if isinstance(value, float) else f"{value:,}"
