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
        list[Path] | None,
        typer.Argument(help="Folders of results, any number.", show_default="results"),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="A metric, macs, latency or any other column.",
            show_default="the data's first metric",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep rows with COLUMN=VALUE, such as k=15 or loss=ce|rep."),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many rows.")] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Rank within groups: budget (epochs of teacher and student), k or any column."
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="One row a run instead of means over seeds.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
    width: Annotated[
        int | None,
        typer.Option(min=20, help="Columns of the table.", show_default="the terminal's"),
    ] = None,
) -> None:
    """Print quality, cost and time of every run, best first; runs that differ in their seed alone share a row."""
    from distillbench import api
    from distillbench.analysis.leaderboard import column_of
    from distillbench.cli.render import table
    from distillbench.cli.render.terminal import complain

    rows = api.leaderboard(
        folders or "results",
        where=where or (),
        sort=sort,
        top=top,
        group_by=group_by,
        each=each,
        warn=complain,
    )
    if not rows.empty:
        group = None if group_by is None else column_of(group_by, rows, "--group-by")
        table.show(rows, format.value, group, width)
