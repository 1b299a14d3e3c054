"""Finds one run and prints it in full, or beside itself run again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from distillbench.analysis.leaderboard import row
from distillbench.api import load
from distillbench.cli.render.display import count, latency
from distillbench.cli.render.terminal import complain, console, styled
from distillbench.experiments.reproduce import Reproduction
from distillbench.registry.discovery import Registry
from distillbench.results.flatten import settings_of
from distillbench.results.store import Result

_BARS = "▁▂▃▄▅▆▇█"
_DIFFERENCES = 20


def find(run: str, folders: Sequence[Path] | None, registry: Registry) -> Result:
    """Finds a run by its file, its key or the beginning of it."""
    return load(run, folders or "results", warn=complain).stored


def show(result: Result) -> None:
    """Prints one run in full."""
    c, out, found = result.content, console(), row(result)
    out.print(styled("[bold]run {}[/], {}, finished {}", result.id, c["network"], c["finished"]))
    out.print(str(result.path), style="dim", soft_wrap=True)
    settings = {
        n: v for n, v in settings_of(c["setup"]).items() if not v.startswith("distillbench ")
    }
    out.print(_two_columns("settings", settings, c["sources"]))
    cost = {name: value for name, value in c["cost"].items() if not isinstance(value, Mapping)}
    measured = {
        "latency": c["cost"]["latency"],
        "evaluation_seconds": c["cost"]["evaluation_seconds"],
    }
    before = {
        "quality": settings_of(c["metrics"], _number),
        "fidelity to the teacher": settings_of(c.get("fidelity") or {}, _number),
        "cost": settings_of(cost, _amount),
        "latency of one video": {"": latency(found)},
        "measured": settings_of(measured, _number),
        "budget": settings_of(c["budget"], _number),
    }
    for title, values in before.items():
        if values:
            out.print(_two_columns(title, values))
    if c["history"]:
        out.print(history(c["history"]))
    for title in ("data", "machine", "versions"):
        if c[title]:
            out.print(_two_columns(title, settings_of(c[title], _number)))
    for warning in found["warnings"].splitlines():
        out.print(styled("[yellow]warning:[/] {}", warning))
    if found["latency_doubtful"]:
        out.print("~ the latency was taken while something else may have slowed the machine down")


def history(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Draws every curve of a history as a sparkline, one line a phase, network and number."""
    curves: dict[tuple[str, str, str], list[float]] = {}
    for epoch in rows:
        for network, told in epoch["networks"].items():
            for name, value in (
                told["validation"] | {f"loss {n}": v for n, v in told["terms"].items()}
            ).items():
                curves.setdefault((epoch["phase"], network, name), []).append(
                    math.nan if value is None else float(value)
                )
    table = Table(
        title="history", title_justify="left", box=None, header_style="bold", pad_edge=False
    )
    for head in ("phase", "network", "", "first", "curve", "last"):
        table.add_column(head, justify="right" if head in ("first", "last") else "left")
    for (phase, network, name), values in curves.items():
        table.add_row(
            phase, network, name, _number(values[0]), sparkline(values), _number(values[-1])
        )
    return table


def sparkline(values: Sequence[float]) -> str:
    """Draws values as bars of eight heights, the lowest value the lowest bar, NaN as a gap."""
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    heights = (None if math.isnan(value) else round((value - low) * scale) for value in values)
    return "".join(" " if height is None else _BARS[height] for height in heights)


def reproduced(result: Result, found: Reproduction) -> None:
    """Prints, number by number, whether a run agrees with what it was."""
    out = console()
    differing = [number for number in found.numbers if not number.agrees]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("number", "then", "now", ""):
        table.add_column(head)
    for number in [n for n in found.numbers if n.name.startswith("metrics.")] + differing[
        :_DIFFERENCES
    ]:
        verdict = Text("agrees", "green") if number.agrees else Text("differs", "red")
        table.add_row(number.name, _number(number.then), _number(number.now), verdict)
    out.print(table)
    if len(differing) > _DIFFERENCES:
        out.print(f"... and {len(differing) - _DIFFERENCES} more that differ")
    for number in found.surroundings:
        told = "[yellow]around it:[/] {} was {}, is {}"
        out.print(styled(told, number.name, number.then, number.now))
    agreeing = len(found.numbers) - len(differing)
    said = (
        Text("every number agrees", "green")
        if found.agrees
        else Text(f"{len(differing)} numbers differ", "red")
    )
    count_told = f"; {agreeing} of {len(found.numbers)} are the same to the last bit"
    out.print(Text.assemble(f"run {result.id}: ", said, count_told))


def _two_columns(
    title: str, values: Mapping[str, str], sources: Mapping[str, str] | None = None
) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    for style in ("", "bold", "dim"):
        table.add_column(style=style, overflow="fold")
    for name, value in values.items():
        source = (sources or {}).get(name, "")
        table.add_row("  " + name, value, "" if source in ("", "default") else f"from {source}")
    return table


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _amount(value: object) -> str:
    return (
        count(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else str(value or "-")
    )
