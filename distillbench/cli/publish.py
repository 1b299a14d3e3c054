"""`distillbench publish`: writes results as a set that others can join with theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def publish(
    out: Annotated[
        Path, typer.Option("--out", help="The folder to write the set to.", metavar="DIR")
    ],
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of results.", show_default="results")
    ] = None,
    title: Annotated[str, typer.Option(help="What the set is about.")] = "Results of distillbench",
    license: Annotated[
        str | None,
        typer.Option(help="Under which license others may use it, such as cc-by-4.0."),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            help="Publish the labels of the test videos too: without them no row has an interval."
        ),
    ] = True,
) -> None:
    """Write results as a set that others can read by its address.

    Paths and the name of this machine are taken out, every row is checked, and weights stay here.
    A card (README.md), a table (board.csv) and a list of all files (published.json) are written
    beside them: the folder can be put on the Hugging Face hub, into a git repository or on a web
    server, and `distillbench leaderboard ADDRESS` reads it.
    """
    from distillbench import api
    from distillbench.cli.render.card import write_card
    from distillbench.cli.render.terminal import complain, echo

    runs = api.publish(out, folders or "results", labels=labels, warn=complain)
    write_card(out, api.leaderboard(out, warn=complain), title, license)
    echo(f"{len(runs)} results written to {out}; try: distillbench leaderboard {out}")
