"""`distillbench show`: one row in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    run: Annotated[str, typer.Argument(help="A run's key, the beginning of it, or its file.")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
) -> None:
    """Print everything that is known of one run: settings, quality, cost, budget, and how it learnt."""
    from distillbench.cli.render import rows
    from distillbench.registry.discovery import discover

    rows.show(rows.find(run, results, discover()))
