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
    group_by: Annotated[
        str | None, typer.Option(help="Rank within groups: budget (epochs of teacher and student), k or any column.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="One row a run instead of means over seeds.")] = False,
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
    width: Annotated[
        int | None, typer.Option(min=20, help="Columns of the table.", show_default="the terminal's")
    ] = None,
) -> None:
    """Print quality, cost and time of every run, best first; runs that differ in their seed alone share a row."""
    from distillbench.cli import loading, table
    from distillbench.cli.terminal import echo
    from distillbench.results.leaderboard import column_of, frame, over_seeds, ranked, select
    from distillbench.results.significance import METRICS, with_intervals

    loaded = loading.loaded(folders)
    if not loaded.results:
        for failure in loaded.failures:
            echo(f"{failure.id} {failure.status}: {failure.reason}", err=True)
        echo("no results yet; distillbench run makes the first", err=True)
        return
    rows = select(frame(loaded.results, loaded.failures), where or [])
    if rows.empty:
        echo(f"none of {len(loaded.results)} results meets: {', '.join(where or [])}", err=True)
        return
    rows = rows.reset_index(drop=True) if each else over_seeds(rows)
    by = column_of(sort, rows, "--sort")
    group = None if group_by is None else column_of(group_by, rows, "--group-by")
    shown = ranked(rows, by, top, group).index
    damage: list[str] = []
    metric = by if by in METRICS else "gap"
    told = with_intervals(rows, loaded.results, metric, shown, group=group, say=damage.append)
    for reason in dict.fromkeys(damage):
        echo(f"no interval: {reason}", err=True)
    table.show(told.loc[shown], format.value, group, width)
