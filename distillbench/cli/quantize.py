"""`distillbench quantize`: a stored run's network in 8 bits, as a row of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    run: Annotated[str, typer.Argument(help="A run's key, the beginning of it, or its file.")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
) -> None:
    """Evaluate a stored network in 8 bits (dynamic quantisation, CPU) and put it on the leaderboard beside itself."""
    from distillbench.analysis.leaderboard import frame
    from distillbench.cli.render import rows, table
    from distillbench.cli.render.progress import progress
    from distillbench.cli.render.terminal import echo
    from distillbench.experiments.quantize import quantize as in_8_bits
    from distillbench.registry.discovery import discover

    registry = discover()
    result = rows.find(run, results, registry)
    with progress(result.metrics) as observer:
        made = in_8_bits(result, registry, observer)
    table.show(frame([result, made]), "table")
    echo(str(made.path))
