"""Writes the leaderboard: for eyes (terminal, markdown) what is compared, for programs (csv, json) everything."""

from __future__ import annotations

import io
import math
import shutil
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from distillbench.cli.display import count

_UNSEEN = ["question"]


def render(rows: pd.DataFrame, form: str) -> str:
    """Writes rows, best first, in one of the forms table, markdown, csv, json."""
    if form == "csv":
        return rows.drop(columns=_UNSEEN).to_csv(index=False)
    if form == "json":
        return rows.drop(columns=_UNSEEN).to_json(orient="records", indent=1) + "\n"
    shown = _shown(rows)
    if form == "markdown":
        from tabulate import tabulate

        return (
            tabulate(shown.to_dict("list"), headers="keys", tablefmt="github", showindex=False, disable_numparse=True)
            + "\n"
        )
    return _rich(shown)


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
    for name, title in (("gap", "GAP@20"), ("map_at_20", "mAP@20"), ("map", "mAP")):
        out[title] = [_quality(row, name) for row in records]
    out["MACs"] = rows["macs"].map(_or_dash)
    out["FLOPs"] = rows["flops"].map(_or_dash)
    if rows["published_macs"].notna().any():
        out["paper's MACs"] = rows["published_macs"].map(_or_dash)
    out["latency"] = rows["latency"].map(lambda seconds: f"{1e3 * seconds:.2f} ms")
    out["trained"] = rows["train_seconds"].map(_duration)
    if (rows["plugins"] != "").any():
        out["plugins"] = rows["plugins"]
    if (rows["warnings"] != "").any():
        out["warnings"] = rows["warnings"]
    return out


def _method(row: dict[str, Any]) -> str:
    return f"{row['encoder']} {row['schedule']}" + (f" ({row['preset']})" if isinstance(row["preset"], str) else "")


def _frames(row: dict[str, Any]) -> str:
    if row["k"] == "all":
        return "all" if row["selector"] == "all" else str(row["selector"])
    trained = "" if row["train_selector"] == row["selector"] else f" (trained on {row['train_selector']})"
    return f"{row['selector']}-{row['k']}{trained}"


def _quality(row: dict[str, Any], name: str) -> str:
    value, spread = row[name], row.get(f"{name}_sd", math.nan)
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.4f}" if math.isnan(spread) else f"{value:.4f} ± {spread:.4f}"


def _or_dash(value: float) -> str:
    return "-" if value is None or math.isnan(value) else count(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _rich(shown: pd.DataFrame) -> str:
    table = Table(header_style="bold", row_styles=["", "dim"])
    for title in shown.columns:
        words = title in ("data", "method", "frames", "loss", "plugins", "warnings")
        table.add_column(title, justify="left" if words else "right", overflow="fold")
    for number, row in enumerate(shown.astype(str).itertuples(index=False)):
        table.add_row(*row, style="bold green" if number == 0 else None)
    text = io.StringIO()
    terminal = Console()
    width = terminal.width if terminal.is_terminal else max(shutil.get_terminal_size((160, 24)).columns, 160)
    Console(file=text, width=width, force_terminal=terminal.is_terminal).print(table)
    return text.getvalue()
