"""Finds one stored run, and prints it in full or beside its reproduction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from distillbench.analysis.rows import row
from distillbench.api import load
from distillbench.cli.render.terminal import complain, console, styled
from distillbench.experiments.reproduce import Reproduction
from distillbench.registry.discovery import Registry
from distillbench.reports.amounts import amount, latency, six_digits
from distillbench.results.flatten import settings_of
from distillbench.results.store import Result

_BARS = "▁▂▃▄▅▆▇█"
_DIFFERENCES = 20


def find(run: str, folders: Sequence[Path] | None, registry: Registry) -> Result:
    """Finds a run by its file, its key or the beginning of its key."""
    return load(run, folders or "results", warn=complain).stored


def show(result: Result) -> None:
    """Prints one run in full."""
    content, out, found = result.content, console(), row(result)
    network, finished = content["network"], content["finished"]
    out.print(styled("[bold]run {}[/], {}, finished {}", result.id, network, finished))
    out.print(str(result.path), style="dim", soft_wrap=True)
    # The settings repeat the version of distillbench for each of its components. It is printed
    # once, in the section "versions"; the versions of third-party plugins stay.
    settings = {
        name: value
        for name, value in settings_of(content["setup"]).items()
        if not value.startswith("distillbench ")
    }
    out.print(_section("settings", settings, content["sources"]))
    for title, values in _results_of(content, found).items():
        if values:
            out.print(_section(title, values))
    if content["history"]:
        out.print(history(content["history"]))
    for title in ("data", "machine", "versions"):
        if content[title]:
            out.print(_section(title, settings_of(content[title], six_digits)))
    for warning in found["warnings"].splitlines():
        out.print(styled("[yellow]warning:[/] {}", warning))
    if found["latency_doubtful"]:
        out.print("~ something else may have slowed the machine down when latency was measured")


def _results_of(
    content: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, Mapping[str, str]]:
    """Lists the sections of a run's results: their titles, and the numbers in each by name."""
    cost = content["cost"]
    amounts = {name: value for name, value in cost.items() if not isinstance(value, Mapping)}
    measured = {"latency": cost["latency"], "evaluation_seconds": cost["evaluation_seconds"]}
    return {
        "quality": settings_of(content["metrics"], six_digits),
        "fidelity to the teacher": settings_of(content.get("fidelity") or {}, six_digits),
        "exported file": settings_of(content.get("export") or {}, six_digits),
        "cost": settings_of(amounts, amount),
        "latency of one video": {"": latency(found)},
        "measured": settings_of(measured, six_digits),
        "budget": settings_of(content["budget"], six_digits),
    }


def history(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Draws a history as sparklines, one for each phase, network and number."""
    curves: dict[tuple[str, str, str], list[float]] = {}
    for epoch in rows:
        for network, stored in epoch["networks"].items():
            losses = {f"loss {name}": value for name, value in stored["terms"].items()}
            for name, value in (stored["validation"] | losses).items():
                curve = curves.setdefault((epoch["phase"], network, name), [])
                # A metric that could not be computed is stored as null.
                curve.append(math.nan if value is None else float(value))
    table = Table(
        title="history", title_justify="left", box=None, header_style="bold", pad_edge=False
    )
    for head in ("phase", "network", "", "first", "curve", "last"):
        table.add_column(head, justify="right" if head in ("first", "last") else "left")
    for (phase, network, name), values in curves.items():
        first, last = six_digits(values[0]), six_digits(values[-1])
        table.add_row(phase, network, name, first, sparkline(values), last)
    return table


def sparkline(values: Sequence[float]) -> str:
    """Draws values as bars of eight heights, from the lowest value to the highest; NaN is a gap."""
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    bars = [" " if math.isnan(value) else _BARS[round((value - low) * scale)] for value in values]
    return "".join(bars)


def reproduced(result: Result, found: Reproduction) -> None:
    """Prints whether each number of a reproduction agrees with the stored one."""
    out = console()
    differing = [number for number in found.numbers if not number.agrees]
    metrics = [number for number in found.numbers if number.name.startswith("metrics.")]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("number", "stored", "now", ""):
        table.add_column(head)
    for number in metrics + differing[:_DIFFERENCES]:
        verdict = Text("agrees", "green") if number.agrees else Text("differs", "red")
        table.add_row(number.name, six_digits(number.then), six_digits(number.now), verdict)
    out.print(table)
    if len(differing) > _DIFFERENCES:
        out.print(f"... and {len(differing) - _DIFFERENCES} more that differ")
    for number in found.surroundings:
        line = "[yellow]environment:[/] {} was {}, is {}"
        out.print(styled(line, number.name, number.then, number.now))
    if found.agrees:
        summary = Text("every number agrees", "green")
    else:
        summary = Text(f"{len(differing)} numbers differ", "red")
    agreeing = len(found.numbers) - len(differing)
    details = f"; {agreeing} of {len(found.numbers)} are equal to the last bit"
    out.print(Text.assemble(f"run {result.id}: ", summary, details))


def _section(
    title: str, values: Mapping[str, str], sources: Mapping[str, str] | None = None
) -> Table:
    """Makes a titled table of names, values and, if known, where each value comes from."""
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for style in ("", "bold", "dim"):
        table.add_column(style=style, overflow="fold")
    for name, value in values.items():
        source = (sources or {}).get(name, "")
        table.add_row("  " + name, value, "" if source in ("", "default") else f"from {source}")
    return table
