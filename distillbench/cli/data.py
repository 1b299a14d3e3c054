"""`distillbench data`: inspects, splits and packs data before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # these take seconds to import, and `--help` needs none of them
    from distillbench.config.run_spec import RunSpec
    from distillbench.interfaces import Splits

Name = Annotated[str | None, typer.Option("--data", help="Name of the data set.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A knob of the data set: data.KNOB=VALUE. May be repeated."),
]


class Stored(StrEnum):
    """The types of packed numbers."""

    AS_STORED = "as-stored"
    UINT8 = "uint8"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


data = typer.Typer(help="Inspect, split or pack data before training.", invoke_without_command=True)


@data.command("inspect")
def inspect_(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="A shard, a folder of shards, or with --data what the data set reads (its knob "
            "dir); - for one that needs nothing.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--data", help="Name of the data set that reads it.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Print what shards hold, or with --data any data set.

    Shown are the numbers of videos, frames, classes, labels and bytes, the features, and why
    records cannot be used. The exit code is 1 if there are such records.
    """
    from distillbench.cli.render import inspection
    from distillbench.data import inspect, inspect_splits
    from distillbench.data.places import place_of

    if name is None:
        found = inspect(place_of(path))
        inspection.show(found)
        bad = found.total.bad
    else:
        where = {} if path == "-" else {"data.dir": path, "data.skip_bad_records": True}
        report = inspect_splits(_opened({"data": name, **where}, settings)[1])
        inspection.show_data(report)
        bad = report.skipped
    if bad:
        raise typer.Exit(1)


@data.command()
def split(
    to: Annotated[
        Path,
        typer.Option(help="Folder for train.txt, validation.txt and test.txt, one id per line."),
    ],
    name: Name = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Folder of the data set's shards (its knob dir).")
    ] = None,
    settings: Settings = None,
) -> None:
    """Save the video ids of a data set's train, validation and test splits.

    To use the same split of shards in a run, pass --set data.ids=FOLDER.
    """
    from distillbench.cli.render.terminal import echo
    from distillbench.data import save_ids

    _, splits = _opened({"data": name, "data.dir": data_dir}, settings)
    save_ids(splits, to)
    parts = ("train", "validation", "test")
    counts = ", ".join(f"{len(getattr(splits, part)):,} {part}" for part in parts)
    echo(f"{counts} ids in {to}")


@data.command()
def pack(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="Folder or file of the data set (its knob dir); - for one that needs none.",
        ),
    ],
    to: Annotated[Path, typer.Argument(metavar="DEST", help="Folder for the shards.")],
    name: Name = None,
    settings: Settings = None,
    dtype: Annotated[
        Stored,
        typer.Option(
            help="Type that numbers are stored as. uint8: in 256 steps from the least to the "
            "largest; the error is printed."
        ),
    ] = Stored.AS_STORED,
    skip_bad_records: Annotated[
        bool,
        typer.Option("--skip-bad-records", help="Leave out what cannot be used, and count it."),
    ] = False,
) -> None:
    """Write a data set as frame-level shards, which are read fast.

    Shards are in YouTube-8M's layout, with the data set's splits, labels and names of classes. If
    it is interrupted, the same command goes on from where it was.
    """
    from distillbench.cli.render import packing
    from distillbench.data import pack

    choices = {
        "data": name,
        "data.dir": None if source == "-" else source,
        "data.skip_bad_records": True if skip_bad_records else None,
    }
    spec, splits = _opened(choices, settings)
    with packing.progress() as progress:
        found = pack(splits, to, dtype=dtype.value, label_kind=spec.label_kind, progress=progress)
    packing.show(found, to)


def _opened(
    choices: Mapping[str, object], settings: Sequence[str] | None
) -> tuple[RunSpec, Splits]:
    """Opens the data set that a command line names."""
    from distillbench.config import grid
    from distillbench.registry.discovery import discover
    from distillbench.training.build import open_data

    registry = discover()
    spec = grid.one_spec(registry, grid.layers(registry, None, choices, settings or []))
    return spec, open_data(spec)


@data.callback()
def group(context: typer.Context) -> None:
    """Inspect, split or pack data before training."""
    if context.invoked_subcommand is None:
        context.get_help()
