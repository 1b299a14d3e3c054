"""`distillbench show`: prints one stored run in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    run: Annotated[
        str, typer.Argument(help="The run: its key, the beginning of its key, or its result file.")
    ],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
) -> None:
    """Print everything stored about one run: settings, quality, cost, budget and history."""
    from distillbench.cli.render import rows
    from distillbench.registry.discovery import discover

    rows.show(rows.find(run, results, discover()))
