"""Writes the comparison of two methods as text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence

import pandas as pd
from tabulate import tabulate

from distillbench.analysis.comparison import Comparison, Side
from distillbench.cli.render.escaping import markdown, one_line

_HEADS = ("metric", "A", "B", "A - B", "95 % interval", "p")

Escape = Callable[[str], str]


def render(found: Comparison, form: str) -> str:
    """Writes a comparison in one of the formats table, markdown, csv, json."""
    if form == "json":
        return json.dumps(_plain(found), indent=1) + "\n"
    if form == "csv":
        return _csv(found)
    if form == "markdown":
        return _text(found, "github", markdown)
    return _text(found, "simple", one_line)


def _text(found: Comparison, style: str, escape: Escape) -> str:
    """Writes the two methods, their differences, the notes and the settings that differ.

    style: the table format of `tabulate`.
    escape: makes a name safe for that format.
    """
    lines = [
        f"A: {escape(_seeds(found.a))}",
        f"B: {escape(_seeds(found.b))}",
        f"{found.videos:,} test videos, paired by video" + _paired_seeds(found),
        *[f"note: {escape(note)}" for note in found.notes],
        "",
        _table(_HEADS, _difference_rows(found, escape), style),
        "",
    ]
    if found.settings:
        rows = [[escape(text) for text in row] for row in found.settings]
        lines.append(_table(("differs in", "A", "B"), rows, style))
    else:
        lines.append("no setting differs")
    return "\n".join(lines) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> str:
    # Without disable_numparse, tabulate would write the numbers again with digits of its own.
    return tabulate(rows, headers=heads, tablefmt=style, disable_numparse=True)


def _difference_rows(found: Comparison, escape: Escape) -> list[list[str]]:
    return [
        [
            escape(found.titles[name]),
            f"{difference.a:.4f}",
            f"{difference.b:.4f}",
            f"{difference.value:+.4f}",
            f"[{difference.low:+.4f}, {difference.high:+.4f}]",
            p_value(difference.p),
        ]
        for name, difference in found.differences.items()
    ]


def _seeds(side: Side) -> str:
    seeds = ", ".join(str(seed) for seed in sorted(side.by_seed))
    return f"{side.name}, seeds {seeds}"


def _paired_seeds(found: Comparison) -> str:
    count = max((each.paired_seeds for each in found.differences.values()), default=0)
    if not count:
        return ""
    return f" and by {count} seed{'s' if count != 1 else ''}"


def p_value(value: float) -> str:
    """Writes a p-value with two significant digits, or three decimals where these are more."""
    # Two significant digits of 0.0995 and more would show fewer than three decimals.
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
    rows = [
        {"metric": name} | dataclasses.asdict(difference)
        for name, difference in found.differences.items()
    ]
    return pd.DataFrame(rows).to_csv(index=False)
