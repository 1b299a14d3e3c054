"""`distillbench check`: tests whether components keep the promises of their kind."""

from __future__ import annotations

from typing import Annotated

import typer


def check(
    name: Annotated[
        str | None, typer.Argument(help="Check the components of this name alone.")
    ] = None,
    distribution: Annotated[
        str | None,
        typer.Option(
            "--from", help="Check what this installed distribution offers.", metavar="DISTRIBUTION"
        ),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(help="Folder to check the data set with: its knob `dir`.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Test every promise of every installed component; exit with 1 where one is broken or a plugin cannot be loaded."""
    from distillbench.cli.render import verdicts
    from distillbench.registry.discovery import discover

    registry = discover()
    components, failures = verdicts.asked_for(registry, name, distribution)
    if data_dir is not None:
        verdicts.check_data_dir(components, data_dir)
    if not verdicts.report(components, failures, data_dir):
        raise typer.Exit(1)
