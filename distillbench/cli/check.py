"""`distillbench check`: tests whether components keep the promises of their kind."""

from __future__ import annotations

from typing import Annotated

import typer


def check(
    name: Annotated[str | None, typer.Argument(help="Check the components of this name alone.")] = None,
    distribution: Annotated[
        str | None,
        typer.Option("--from", help="Check what this installed distribution offers.", metavar="DISTRIBUTION"),
    ] = None,
) -> None:
    """Test every promise of every installed component; exit with 1 where one is broken or a plugin cannot be loaded."""
    from distillbench.cli import verdicts
    from distillbench.registry import discover

    registry = discover()
    components, failures = verdicts.asked_for(registry, name, distribution)
    if not verdicts.report(components, failures):
        raise typer.Exit(1)
