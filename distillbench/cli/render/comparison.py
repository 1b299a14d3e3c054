"""Writes a comparison."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

from tabulate import tabulate

from distillbench.analysis.comparison import Comparison
from distillbench.cli.render.escaping import markdown, one_line

_HEADS = ("metric", "A", "B", "A - B", "95 % interval", "p")


def render(found: Comparison, form: str) -> str:
    """Writes a comparison in one of the forms table, markdown, csv, json."""
    if form == "json":
        return json.dumps(_plain(found), indent=1) + "\n"
    if form == "csv":
        return _csv(found)
    style, cell = ("github", markdown) if form == "markdown" else ("simple", one_line)
    settings = [tuple(map(cell, row)) for row in found.settings]
    rows = [
        (
            cell(found.titles[name]),
            f"{d.a:.4f}",
            f"{d.b:.4f}",
            f"{d.value:+.4f}",
            f"[{d.low:+.4f}, {d.high:+.4f}]",
            _p(d.p),
        )
        for name, d in found.differences.items()
    ]
    seeds = [
        f"{side.name}, seeds {', '.join(map(str, sorted(side.by_seed)))}"
        for side in (found.a, found.b)
    ]
    written = [
        f"A: {cell(seeds[0])}",
        f"B: {cell(seeds[1])}",
        f"{found.videos:,} test videos, paired by video" + _pairs(found),
        "",
        tabulate(rows, headers=_HEADS, tablefmt=style, disable_numparse=True),
        "",
        *(f"note: {cell(note)}" for note in found.notes),
        tabulate(settings, headers=("differs in", "A", "B"), tablefmt=style, disable_numparse=True)
        if found.settings
        else "no setting differs",
    ]
    return "\n".join(written) + "\n"


def _pairs(found: Comparison) -> str:
    paired = next(iter(found.differences.values())).paired_seeds
    return f" and by {paired} seed{'s' if paired != 1 else ''}" if paired else ""


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0995 else f"{value:.2g}"


def _plain(found: Comparison) -> dict[str, object]:
    return {
        "a": [result.id for result in found.a.results],
        "b": [result.id for result in found.b.results],
        "videos": found.videos,
        "differences": {name: dataclasses.asdict(d) for name, d in found.differences.items()},
        "settings": [dict(zip(("name", "a", "b"), row, strict=True)) for row in found.settings],
        "notes": list(found.notes),
    }


def _csv(found: Comparison) -> str:
    text = io.StringIO()
    rows = [{"metric": name} | dataclasses.asdict(d) for name, d in found.differences.items()]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
