"""`distillbench report`: a table or a figure of stored results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distillbench.interfaces import Figure, Table
    from distillbench.registry.discovery import Component


class TableForm(StrEnum):
    """How a table is written."""

    rich = "rich"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"


class Columns(StrEnum):
    """How wide a figure is, in text columns of a page."""

    one = "1"
    two = "2"


def report(
    name: Annotated[
        str | None, typer.Argument(help="The report to make; without a name all are listed.")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep runs with COLUMN=VALUE or SETTING=VALUE, such as data=digits."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A knob of the report: KNOB=VALUE.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Put published digits beside ours.")
    ] = False,
    format: Annotated[TableForm, typer.Option(help="How a table is written.")] = TableForm.rich,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to: a table's file (none: it is printed), a figure's PNG and SVG (none: figures)."
        ),
    ] = None,
    columns: Annotated[
        Columns, typer.Option(help="A figure's width, in text columns of a page: 3.4 or 7 inches.")
    ] = Columns.two,
) -> None:
    """Make a table or figure of stored results; without a name, list every report that is installed."""
    from distillbench.cli import loading
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
    found = loading.some(results, registry).results
    from distillbench.interfaces import Figure
    from distillbench.reports.runs import StoredRuns, networks_with

    runs = StoredRuns(found, networks_with(registry), where or [])
    made = _made(component, knobs, runs)
    if isinstance(made, Figure):
        _draw(component, made, runs.data, out or Path("figures"), int(columns.value))
        return
    written = tables.render(made, format.value, paper)
    if out is None:
        echo(written, end="")
        return
    from distillbench.storage import write_text

    suffix = {"rich": "txt", "markdown": "md", "latex": "tex", "csv": "csv"}[format.value]
    write_text(out / f"{name}.{suffix}", written)
    echo(str(out / f"{name}.{suffix}"))


def _knobs(component: Component, assignments: list[str]) -> dict[str, object]:
    """Reads `KNOB=VALUE` and fills the rest with defaults."""
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
        both = [f"{knob}={given[knob]}" for knob in group if knob in given]
        if len(both) > 1:
            exclude = "exclude one another and both are set; set one of them"
            problems.append(f"report {component.name}: {' and '.join(both)} {exclude}")
    if problems:
        raise ConfigError(problems)
    return knobs


def _made(component: Component, knobs: dict[str, object], runs: Any) -> Table | Figure:
    """Makes a report, and refuses what is neither a table nor a figure."""
    from distillbench.errors import PluginError
    from distillbench.registry.vetting import wrong_report

    with component.guarded():
        made: Table | Figure = component.cls(**knobs).make(runs)
    wrong = wrong_report(made)
    if wrong:
        raise PluginError(f"{component.title} made {wrong}")
    return made


def _draw(component: Component, figure: Figure, data: str, folder: Path, columns: int) -> None:
    import re

    from distillbench.cli.render.terminal import echo
    from distillbench.reports.figure import save

    safe = re.sub(r"[^\w.-]", "_", data)  # the name comes from a file of results
    paths = [folder / f"{component.name}-{safe}.{suffix}" for suffix in ("png", "svg")]
    with component.guarded():
        save(figure, paths, columns)
    for path in paths:
        echo(str(path))
