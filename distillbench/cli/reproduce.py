"""`distillbench reproduce`: repeats a stored run and compares the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import Device


def reproduce(
    run: Annotated[
        str, typer.Argument(help="The run: its key, the beginning of its key, or its result file.")
    ],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    device: Device = "auto",
) -> None:
    """Repeat a stored run, including its teacher, and compare every number with the stored one.

    The exit code is 1 if a number differs.
    """
    from distillbench.cli.render import rows
    from distillbench.cli.render.progress import progress
    from distillbench.experiments.reproduce import reproduce as reproduce_result
    from distillbench.registry.discovery import discover

    registry = discover()
    result = rows.find(run, results, registry)
    with progress(result.metrics) as observer:
        found = reproduce_result(result, registry, device, observer)
    rows.reproduced(result, found)
    if not found.agrees:
        raise typer.Exit(1)
