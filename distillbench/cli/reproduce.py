"""`distillbench reproduce`: run a row again from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import Device


def reproduce(
    run: Annotated[str, typer.Argument(help="A run's key, the beginning of it, or its file.")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train and evaluate a row again, teacher included, and say whether every number agrees."""
    from distillbench.cli.render import rows
    from distillbench.cli.render.progress import progress
    from distillbench.experiments.reproduce import reproduce as run_again
    from distillbench.registry.discovery import discover

    registry = discover()
    result = rows.find(run, results, registry)
    with progress(result.metrics) as observer:
        found = run_again(result, registry, device, observer)
    rows.reproduced(result, found)
    if not found.agrees:
        raise typer.Exit(1)
