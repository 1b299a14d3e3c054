"""`distillbench leaderboard`: rows from result files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


def leaderboard(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of results, any number.", show_default="results")
    ] = None,
    sort: Annotated[str, typer.Option(help="gap, map, map_at_20, macs, latency or any other column.")] = "gap",
    where: Annotated[
        list[str] | None, typer.Option(help="Keep rows with COLUMN=VALUE, such as k=15 or loss=ce|rep.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many rows.")] = None,
    each: Annotated[bool, typer.Option("--each", help="One row a run instead of means over seeds.")] = False,
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
) -> None:
    """Print quality, cost and time of every run, best first; runs that differ in their seed alone share a row."""
    from distillbench.cli import table
    from distillbench.results.leaderboard import frame, load, over_seeds, ranked, select

    loaded = load(folders or [Path("results")])
    for reason in loaded.skipped:
        typer.echo(f"skipped: {reason}", err=True)
    if not loaded.results:
        typer.echo("no results yet; distillbench run makes the first", err=True)
        return
    rows = select(frame(loaded.results), where or [])
    if rows.empty:
        typer.echo(f"none of {len(loaded.results)} results meets: {', '.join(where or [])}", err=True)
        return
    typer.echo(table.render(ranked(rows if each else over_seeds(rows), sort, top), format.value), nl=False)
