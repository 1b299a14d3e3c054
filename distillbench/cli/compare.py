"""`distillbench compare`: whether the difference of two methods is real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.leaderboard import Format


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two runs, each by its key or the beginning of it.", metavar="[RUN_A RUN_B]"
        ),
    ] = None,
    a: Annotated[
        list[str] | None,
        typer.Option("--a", help="Instead: COLUMN=VALUE that the one method's runs meet."),
    ] = None,
    b: Annotated[
        list[str] | None, typer.Option("--b", help="And the other's, such as --b loss=rep,ce,pred.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE that both meet, such as k=15.")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="How often the videos are drawn again.")
    ] = 2000,
    format: Annotated[Format, typer.Option(help="How it is printed.")] = Format.table,
) -> None:
    """Print by how much two methods differ, paired by video and by seed, with a 95 % interval and a p-value."""
    from distillbench import api
    from distillbench.cli.render import comparison
    from distillbench.cli.render.terminal import complain, echo
    from distillbench.errors import ConfigError

    runs = runs or []
    if (len(runs) == 2) == bool(a and b) or len(runs) not in (0, 2) or bool(a) != bool(b):
        raise ConfigError(
            [
                f"compare takes two runs, or --a and --b; found {len(runs)} runs, --a {a or '-'}, --b {b or '-'}"
            ]
        )
    found = api.compare(
        runs[0] if runs else a or (),
        runs[1] if runs else b or (),
        where=() if runs else where or (),
        results=results or "results",
        resamples=resamples,
        names=("--a", "--b"),
        warn=complain,
    )
    echo(comparison.render(found, format.value), end="")
