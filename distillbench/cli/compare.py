"""`distillbench compare`: whether the difference between two methods is real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.leaderboard import Format


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two runs, each by its key or the beginning of its key.",
            metavar="[RUN_A RUN_B]",
        ),
    ] = None,
    a: Annotated[
        list[str] | None,
        typer.Option("--a", help="Select the runs of method A by COLUMN=VALUE, such as loss=NAME."),
    ] = None,
    b: Annotated[
        list[str] | None,
        typer.Option("--b", help="The same for method B, such as loss=NAME,NAME."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Condition COLUMN=VALUE on the runs of both methods, such as k=15."),
    ] = None,
    holm: Annotated[
        Path | None,
        typer.Option(
            help="A file of contrasts that were named beforehand; their p-values are corrected for"
            " how many they are (Holm).",
            metavar="FILE",
        ),
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of results.", show_default="results")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Number of bootstrap samples of the videos.")
    ] = 2000,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
) -> None:
    """Print the difference between two methods, with a 95 % interval and a p-value.

    Test videos and seeds are paired. Name two runs, or select the runs of each method with
    --a and --b. Or answer a family of contrasts that stand in a file with --holm.
    """
    from distillbench import api
    from distillbench.cli.render import comparison, contrasts
    from distillbench.cli.render.terminal import complain, echo
    from distillbench.errors import ConfigError

    runs = runs or []
    if holm is not None:
        if runs or a or b or where:
            raise ConfigError(
                ["--holm reads who is compared from its file: name no runs beside it"]
            )
        answers = api.contrasts(holm, results or "results", resamples=resamples, warn=complain)
        echo(contrasts.render(answers, format.value), end="")
        return
    by_key = len(runs) == 2 and not a and not b
    by_filter = not runs and bool(a) and bool(b)
    if not by_key and not by_filter:
        found_options = f"{len(runs)} runs, --a {a or '-'}, --b {b or '-'}"
        raise ConfigError([f"compare takes two runs, or --a and --b; found {found_options}"])
    side_a, side_b = runs if by_key else (a or (), b or ())
    found = api.compare(
        side_a,
        side_b,
        where=() if by_key else where or (),
        results=results or "results",
        resamples=resamples,
        names=("--a", "--b"),
        warn=complain,
    )
    echo(comparison.render(found, format.value), end="")
