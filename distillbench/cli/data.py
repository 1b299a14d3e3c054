"""`distillbench data`: look at shards before training on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Look at data before training on it.", no_args_is_help=True)


@data.command("inspect")
def inspect_(path: Annotated[Path, typer.Argument(help="A shard, or a folder of shards.")]) -> None:
    """Say what a shard or every file of a folder holds: videos, frames, features, classes, labels, bytes, bad records."""
    from distillbench.cli import inspection
    from distillbench.data import inspect

    inspection.show(inspect(path))


@data.callback()
def group() -> None:
    """Look at data before training on it."""
