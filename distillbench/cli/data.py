"""`distillbench data`: inspects and splits data before training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Inspect or split data before training.", invoke_without_command=True)


@data.command("inspect")
def inspect_(path: Annotated[Path, typer.Argument(help="A shard, or a folder of shards.")]) -> None:
    """Print what a shard, or each shard of a folder, holds.

    Shown are the numbers of videos, frames, classes, labels and bytes, the features, and why
    records cannot be used. The exit code is 1 if there are such records.
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
        Path,
        typer.Option(help="Folder for train.txt, validation.txt and test.txt, one id per line."),
    ],
    name: Annotated[str | None, typer.Option("--data", help="Name of the data set.")] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Folder of the data set's shards (its knob dir).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob of the data set: data.KNOB=VALUE. May be repeated."),
    ] = None,
) -> None:
    """Save the video ids of a data set's train, validation and test splits.

    To use the same split of shards in a run, pass --set data.ids=FOLDER.
    """
    from distillbench.cli.render.terminal import echo
    from distillbench.config import grid
    from distillbench.data import save_ids
    from distillbench.registry.discovery import discover
    from distillbench.training.build import open_data

    registry = discover()
    choices = {"data": name, "data.dir": data_dir}
    layers = grid.layers(registry, None, choices, settings or [])
    splits = open_data(grid.one_spec(registry, layers))
    save_ids(splits, to)
    parts = ("train", "validation", "test")
    counts = ", ".join(f"{len(getattr(splits, part)):,} {part}" for part in parts)
    echo(f"{counts} ids in {to}")


@data.callback()
def group(context: typer.Context) -> None:
    """Inspect or split data before training."""
    if context.invoked_subcommand is None:
        context.get_help()
