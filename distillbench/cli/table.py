"""Writes the leaderboard: for eyes (terminal, markdown) what is compared, for programs (csv, json) everything."""

from __future__ import annotations

import io
import math
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from distillbench.cli.display import count

_UNSEEN = ["question", "videos", "settings"]


def render(rows: pd.DataFrame, form: str, group: str | None = None) -> str:
    """Writes rows, best first (in each group, if any), in one of the forms table, markdown, csv, json."""
    if form == "csv":
        return rows.drop(columns=_UNSEEN).to_csv(index=False)
    if form == "json":
        return rows.drop(columns=_UNSEEN).to_json(orient="records", indent=1) + "\n"
    shown = _shown(rows)
    if group is not None:
        shown.insert(0, group, rows[group].astype(str))
    if form == "markdown":
        from tabulate import tabulate

        return (
            tabulate(shown.to_dict("list"), headers="keys", tablefmt="github", showindex=False, disable_numparse=True)
            + "\n"
        )
    return _rich(shown, group)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Chooses the columns people compare and writes them with units."""
    out = pd.DataFrame(index=rows.index)
    records: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    if rows["data"].nunique() > 1:
        out["data"] = rows["data"]
    out["method"] = [_method(row) for row in records]
    out["frames"] = [_frames(row) for row in records]
    out["loss"] = rows["loss"]
    out["seeds"] = rows["seeds"] if "seeds" in rows else rows["seed"].map(lambda seed: f"seed {seed}")
    for name, title in (("gap", "GAP@20 (95 %)"), ("map_at_20", "mAP@20 (95 %)"), ("map", "mAP")):
        out[title] = [_quality(row, name) for row in records]
    if "like_best" in rows:
        out["≈ best"] = ["≈" if row["like_best"] is True else "" for row in records]
    out["MACs"] = rows["macs"].map(_or_dash)
    out["FLOPs"] = rows["flops"].map(_or_dash)
    if rows["published_macs"].notna().any():
        out["paper's MACs"] = rows["published_macs"].map(_or_dash)
    out["latency"] = rows["latency"].map(lambda seconds: "-" if math.isnan(seconds) else f"{1e3 * seconds:.2f} ms")
    out["trained"] = rows["train_seconds"].map(_duration)
    if (rows["plugins"] != "").any():
        out["plugins"] = rows["plugins"]
    if (rows["warnings"] != "").any():
        out["warnings"] = rows["warnings"]
    if (rows["status"] != "answered").any():
        out["why"] = [f"{r['status']}: {r['reason']}" if r["status"] != "answered" else "" for r in records]
    return out


def _method(row: dict[str, Any]) -> str:
    marks = [mark for mark in (row["preset"], "int8" if row["precision"] == "int8" else None) if isinstance(mark, str)]
    return f"{row['encoder']} {row['schedule']}" + (f" ({', '.join(marks)})" if marks else "")


def _frames(row: dict[str, Any]) -> str:
    if row["k"] == "all":
        return "all" if row["selector"] == "all" else str(row["selector"])
    trained = "" if row["train_selector"] == row["selector"] else f" (trained on {row['train_selector']})"
    return f"{row['selector']}-{row['k']}{trained}"


def _quality(row: dict[str, Any], name: str) -> str:
    """Writes a value with its interval, or with its deviation over seeds where it has none."""
    value, spread = row[name], row.get(f"{name}_sd", math.nan)
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if value is None or math.isnan(value):
        return "-"
    if isinstance(low, float) and isinstance(high, float) and not math.isnan(low):
        return f"{value:.4f} [{low:.3f}, {high:.3f}]"
    return f"{value:.4f}" if math.isnan(spread) or name == "map" else f"{value:.4f} ± {spread:.4f}"


def _or_dash(value: float) -> str:
    return "-" if value is None or math.isnan(value) else count(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if math.isnan(seconds):
        return "-"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _rich(shown: pd.DataFrame, group: str | None) -> str:
    """Draws the table; on a terminal too narrow for it, the columns that are compared least are left out."""
    terminal = Console()
    width = terminal.width if terminal.is_terminal else _UNBOUNDED
    text = io.StringIO()
    canvas = Console(file=text, width=width, force_terminal=terminal.is_terminal)
    table = _drawn(shown, group)
    for title in _DISPENSABLE:
        if canvas.measure(table, options=canvas.options.update(width=_UNBOUNDED)).maximum <= width:
            break
        table = _drawn(shown := shown.drop(columns=title, errors="ignore"), group)
    canvas.print(table)
    return text.getvalue()


_UNBOUNDED = 1000
_DISPENSABLE = ("paper's MACs", "FLOPs", "mAP", "trained", "mAP@20 (95 %)", "seeds", "latency")


def _drawn(shown: pd.DataFrame, group: str | None) -> Table:
    table = Table(header_style="bold", row_styles=["", "dim"])
    for title in map(str, shown.columns):
        words = title in ("data", "method", "frames", "loss", "plugins", "warnings", "why", group)
        table.add_column(title, justify="left" if words else "right", overflow="fold", no_wrap=title.endswith("%)"))
    before: object = None
    for number, row in enumerate(shown.astype(str).itertuples(index=False)):
        begins = group is not None and row[0] != before
        if begins and number:
            table.add_section()
        before = row[0]
        table.add_row(*row, style="bold green" if begins or number == 0 else None)
    return table
