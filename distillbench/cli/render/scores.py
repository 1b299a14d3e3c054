"""Writes the metrics of predictions."""

from __future__ import annotations

import csv
import io
import json

from tabulate import tabulate

from distillbench.cli.render.escaping import markdown, one_line
from distillbench.evaluation.score_files import Scored


def render(found: Scored, form: str) -> str:
    """Writes metrics in one of the forms table, markdown, csv, json."""
    values: dict[str, float | int | None] = {
        name: value for name, (_, value) in found.metrics.items()
    }
    values |= found.counts
    if form == "json":
        return json.dumps(values, indent=1) + "\n"
    if form == "csv":
        return _csv(values)
    titles = {name: title for name, (title, _) in found.metrics.items()}
    style, cell = ("github", markdown) if form == "markdown" else ("simple", one_line)
    rows = [
        (cell(titles.get(name, name.replace("_", " "))), _cell(value))
        for name, value in values.items()
    ]
    drawn = tabulate(
        rows,
        headers=("metric", "value"),
        tablefmt=style,
        colalign=("left", "right"),
        disable_numparse=True,
    )
    return drawn + "\n"


def _csv(values: dict[str, float | int | None]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(values)
    writer.writerow("" if value is None else repr(value) for value in values.values())
    return text.getvalue()


def _cell(value: float | int | None) -> str:
    if value is None:
        return "not available: some scores are missing"
    return f"{value:.6f}" if isinstance(value, float) else f"{value:,}"
