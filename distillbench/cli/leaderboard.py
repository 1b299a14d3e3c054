"""`distillbench leaderboard`: prints stored results as a table."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """The format in which a table is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


@contextmanager
def _without_collector() -> Iterator[None]:
    """Looks for no cycles: a large board has none, and looking takes time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_collector()
def leaderboard(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of results, or addresses of published ones; several may be given.",
            show_default="results",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Column to sort by: a metric, macs, latency or any other.",
            show_default="the data's first metric",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep rows with COLUMN=VALUE, such as k=15 or loss=A|B. May be repeated."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Print at most this many rows.")] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Rank within groups: budget (epochs of teacher and student), k or any column."
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Print one row per run instead of means over seeds.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns to print, separated by commas: titles of the table or names of the CSV.",
            show_default="those that fit",
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Print every column of the table, however wide.")
    ] = False,
    width: Annotated[
        int | None,
        typer.Option(min=20, help="Width in characters.", show_default="the terminal's"),
    ] = None,
) -> None:
    """Print the quality, cost and time of every run, best first.

    Runs that differ only in their seed share one row, unless --each is given.
    """
    from distillbench.analysis import board
    from distillbench.analysis.leaderboard import column_of
    from distillbench.cli.render import table
    from distillbench.cli.render.terminal import complain
    from distillbench.errors import ConfigError

    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    if columns is not None and not names:
        raise ConfigError(["--columns names no column"])
    if wide and width is not None:
        raise ConfigError(["--wide prints every column; leave out --width"])
    rows = board.leaderboard(
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
        table.show(rows, format.value, group, table.UNLIMITED_WIDTH if wide else width, names)
