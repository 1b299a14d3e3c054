"""`distillbench report`: the paper's tables and figures from stored results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Subject(StrEnum):
    """What can be reported."""

    table1 = "table1"
    table2 = "table2"
    table3 = "table3"
    table4 = "table4"
    figure2 = "figure2"
    figure3 = "figure3"
    controls = "controls"
    pareto = "pareto"
    budget = "budget"


class TableForm(StrEnum):
    """How a table is written."""

    rich = "rich"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"


class Width(StrEnum):
    """How wide a figure is, in text columns of a page."""

    one = "1"
    two = "2"


def report(
    subject: Annotated[Subject, typer.Argument(help="A table or figure of the paper, or one of ours.")],
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of results, any number.", show_default="results")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Keep runs with COLUMN=VALUE or SETTING=VALUE, such as data=digits.")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Put the paper's digits beside ours.")] = False,
    format: Annotated[TableForm, typer.Option(help="How a table is written.")] = TableForm.rich,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to: a table's file (none: it is printed), a figure's PNG and SVG (none: figures)."
        ),
    ] = None,
    width: Annotated[
        Width, typer.Option(help="A figure's width, in text columns of a page: 3.4 or 7 inches.")
    ] = Width.two,
) -> None:
    """Write a table or figure of the paper, controls, quality against cost, or quality against frames."""
    from distillbench.cli import loading, tables
    from distillbench.cli.terminal import echo
    from distillbench.results import controls
    from distillbench.results.report import TABLES, Runs

    runs = Runs(loading.some(folders).results, where or [])
    made = {**TABLES, "controls": controls.table}.get(subject.value)
    if made is None:
        _draw(subject.value, runs, out or Path("figures"), int(width.value))
        return
    written = tables.render(made(runs), format.value, paper)
    if out is None:
        echo(written, end="")
        return
    from distillbench.storage import write_text

    suffix = {"rich": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}[format.value]
    write_text(out / f"{subject.value}.{suffix}", written)
    echo(str(out / f"{subject.value}.{suffix}"))


def _draw(subject: str, runs: object, folder: Path, columns: int) -> None:
    from distillbench.cli.terminal import echo
    from distillbench.results import figures
    from distillbench.results.report import Runs

    assert isinstance(runs, Runs)
    for path in figures.draw(subject, runs, folder, columns):
        echo(str(path))
