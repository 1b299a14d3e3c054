"""`distillbench data`: look at shards before training on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Look at data before training on it.", invoke_without_command=True)


@data.command("inspect")
def inspect_(path: Annotated[Path, typer.Argument(help="A shard, or a folder of shards.")]) -> None:
    """Say what a shard or every file of a folder holds: videos, frames, features, classes, labels, bytes, bad records.

    Exit with 1 where a record is bad.
    """
    from distillbench.cli.render import inspection
    from distillbench.data import inspect

    found = inspect(path)
    inspection.show(found)
    if found.total.bad:
        raise typer.Exit(1)


@data.command()
def split(
    to: Annotated[
        Path, typer.Option(help="Folder for train.txt, validation.txt and test.txt, an id a line.")
    ],
    name: Annotated[str | None, typer.Option("--data", help="Data set.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the data set's shards.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any knob: data.KNOB=VALUE.")
    ] = None,
) -> None:
    """Save a data set's split as lists of ids; shards are split the same way again by --set data.ids=FOLDER."""
    from distillbench.cli.render.terminal import echo
    from distillbench.config import grid
    from distillbench.data import save_ids
    from distillbench.registry.discovery import discover
    from distillbench.training.build import open_data

    registry = discover()
    asked = grid.layers(registry, None, {"data": name, "data.dir": data_dir}, settings or [])
    splits = open_data(grid.one_spec(registry, asked))
    save_ids(splits, to)
    counts = ", ".join(
        f"{len(getattr(splits, part)):,} {part}" for part in ("train", "validation", "test")
    )
    echo(f"{counts} ids in {to}")


@data.callback()
def group(context: typer.Context) -> None:
    """Look at data before training on it."""
    if context.invoked_subcommand is None:
        context.get_help()
