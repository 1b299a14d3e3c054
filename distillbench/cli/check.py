"""`distillbench check`: tests components against the contract of their kind."""

from __future__ import annotations

from typing import Annotated

import typer


def check(
    name: Annotated[
        str | None, typer.Argument(help="Check only the components of this name.")
    ] = None,
    distribution: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Check only the components of this installed distribution.",
            metavar="DISTRIBUTION",
        ),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder of shards to check a data set with (its knob dir).", metavar="FOLDER"
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="How many components to check at once.", metavar="N")
    ] = 1,
) -> None:
    """Test every installed component against the contract.

    The exit code is 1 if a promise is broken or a plugin cannot be loaded.
    """
    from distillbench.cli.render import verdicts
    from distillbench.registry.discovery import discover

    registry = discover()
    components, failures = verdicts.select(registry, name, distribution)
    if data_dir is not None:
        verdicts.check_data_dir(components, data_dir)
    if not verdicts.report(components, failures, data_dir, jobs):
        raise typer.Exit(1)
