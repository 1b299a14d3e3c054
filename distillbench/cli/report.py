"""`distillbench report`: makes a table or a figure from stored results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distillbench.interfaces import Figure, Table
    from distillbench.registry.discovery import Component


class TableForm(StrEnum):
    """The format in which a table is written."""

    rich = "rich"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"


_SUFFIXES = {
    TableForm.rich: "txt",
    TableForm.markdown: "md",
    TableForm.latex: "tex",
    TableForm.csv: "csv",
}


class Columns(StrEnum):
    """The width of a figure, in text columns of a page."""

    one = "1"
    two = "2"


def report(
    name: Annotated[
        str | None,
        typer.Argument(help="The report to make; without a name, all reports are listed."),
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep runs with COLUMN=VALUE or SETTING=VALUE, such as k=15."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob of the report: KNOB=VALUE. May be repeated."),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Show published numbers beside the measured ones.")
    ] = False,
    format: Annotated[TableForm, typer.Option(help="Format of a table.")] = TableForm.rich,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the file of a table, or for the PNG and SVG files of a figure.",
            show_default="tables are printed, figures go to figures/",
        ),
    ] = None,
    columns: Annotated[
        Columns,
        typer.Option(help="Width of a figure in text columns of a page: 1 is 3.4 inches, 2 is 7."),
    ] = Columns.two,
) -> None:
    """Make a table or a figure from stored results.

    Without a name, list every installed report.
    """
    from distillbench.cli.loading import load_results
    from distillbench.cli.render import listing, tables
    from distillbench.cli.render.terminal import echo
    from distillbench.errors import ConfigError
    from distillbench.registry.discovery import discover

    registry = discover()
    if name is None:
        listing.of_kind(registry, "report")
        return
    component = registry.find("report", name)
    if component is None:
        raise ConfigError([registry.missing("report", name)])
    knobs = _knobs(component, settings or [])
    found = load_results(results, registry).results
    # Imported late, so that a wrong name or knob is reported at once.
    from distillbench.interfaces import Figure
    from distillbench.reports.runs import StoredRuns, networks_with

    runs = StoredRuns(found, networks_with(registry), where or [])
    made = _make(component, knobs, runs)
    if isinstance(made, Figure):
        _save_figure(component, made, runs.data, out or Path("figures"), int(columns.value))
        return
    text = tables.render(made, format.value, paper)
    if out is None:
        echo(text, end="")
        return
    from distillbench.storage import write_text

    path = out / f"{name}.{_SUFFIXES[format]}"
    write_text(path, text)
    echo(str(path))


def _knobs(component: Component, assignments: list[str]) -> dict[str, object]:
    """Reads assignments `KNOB=VALUE`, and adds the defaults of the other knobs.

    Raises `ConfigError` for an assignment that does not fit the report.
    """
    from distillbench.errors import ConfigError
    from distillbench.registry.knobs import bind

    given: dict[str, object] = {}
    for assignment in assignments:
        knob, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError([f"--set takes KNOB=VALUE of the report; found '{assignment}'"])
        given[knob.strip()] = value.strip()
    knobs, problems = bind(component.cls, given, f"report {component.name}")
    for group in getattr(component.cls, "exclusive_knobs", ()):
        conflicting = [f"{knob}={given[knob]}" for knob in group if knob in given]
        if len(conflicting) > 1:
            named = " and ".join(conflicting)
            problems.append(f"report {component.name}: {named} exclude each other; set only one")
    if problems:
        raise ConfigError(problems)
    return knobs


def _make(component: Component, knobs: dict[str, object], runs: Any) -> Table | Figure:
    """Makes a report, and raises `PluginError` if it is not a valid table or figure."""
    from distillbench.config.run_spec import Choice
    from distillbench.errors import PluginError
    from distillbench.registry.vetting import wrong_report

    report = Choice(component, knobs).build()
    with component.guarded():
        made: Table | Figure = report.make(runs)
    wrong = wrong_report(made)
    if wrong:
        raise PluginError(f"{component.title} made {wrong}")
    return made


def _save_figure(
    component: Component, figure: Figure, data: str, folder: Path, columns: int
) -> None:
    import re

    from distillbench.cli.render.terminal import echo
    from distillbench.reports.figure import save

    # The data set's name comes from a result file, so it could hold a path to another folder.
    safe_name = re.sub(r"[^\w.-]", "_", data)
    paths = [folder / f"{component.name}-{safe_name}.{suffix}" for suffix in ("png", "svg")]
    with component.guarded():
        save(figure, paths, columns)
    for path in paths:
        echo(str(path))
