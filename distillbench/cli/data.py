"""`distillbench data`: inspects, splits, packs and fetches data before training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # these take seconds to import, and `--help` needs none of them
    from distillbench.config.run_spec import RunSpec
    from distillbench.interfaces import Splits
    from distillbench.registry.discovery import Registry

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


data = typer.Typer(
    help="Inspect, split, pack or fetch data before training.", invoke_without_command=True
)


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
    """Print the contents of shards, or of any data set with --data.

    Shown are the numbers of videos, frames, classes, labels and bytes, the features, and why
    records cannot be used. The exit code is 1 if there are such records.
    """
    from distillbench.cli.render import inspection
    from distillbench.data import inspect, inspect_splits
    from distillbench.data.places import place_of
    from distillbench.registry.discovery import discover

    if name is None:
        found = inspect(place_of(path))
        inspection.show(found)
        bad = found.total.bad
    else:
        registry = discover()
        choices = {"data": name, **_where(registry, name, path)}
        report = inspect_splits(_opened(registry, choices, settings)[1])
        inspection.show_data(report)
        bad = report.skipped
    if bad:
        raise typer.Exit(1)


def _where(registry: Registry, name: str, path: str) -> dict[str, object]:
    """Has a data set that counts what it cannot use do so, where it otherwise stops at it."""
    from distillbench.registry.knobs import knobs_of

    if path == "-":
        return {}
    found = registry.find("data", name)
    counts = found is not None and "skip_bad_records" in {knob.name for knob in knobs_of(found.cls)}
    return {"data.dir": path, **({"data.skip_bad_records": True} if counts else {})}


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
    from distillbench.registry.discovery import discover

    _, splits = _opened(discover(), {"data": name, "data.dir": data_dir}, settings)
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
    from distillbench.registry.discovery import discover

    choices = {
        "data": name,
        "data.dir": None if source == "-" else source,
        "data.skip_bad_records": True if skip_bad_records else None,
    }
    spec, splits = _opened(discover(), choices, settings)
    with packing.progress() as progress:
        found = pack(splits, to, dtype=dtype.value, label_kind=spec.label_kind, progress=progress)
    packing.show(found, to)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set.")],
    split: Annotated[str, typer.Option(help="Split to fetch, as it is published.")],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the files.")],
    shards: Annotated[
        str,
        typer.Option(metavar="I/N", help="Part of the files, such as 1/100 for a hundredth."),
    ] = "1/1",
    mirror: Annotated[
        str | None,
        typer.Option(help="Place to fetch from.", show_default="the first of the data set"),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Fetch from a copy of where it is published."),
    ] = None,
) -> None:
    """Fetch the files that a data set is published as.

    Files appear whole, and checked where their checksums are published. If it is interrupted, the
    same command goes on from where it was. A part has the same files whenever it is fetched.
    """
    from distillbench.cli.render import fetching
    from distillbench.data.remote.download import fetch, part_of, published
    from distillbench.registry.discovery import discover

    part, parts = _part(shards)
    files = part_of(published(discover(), name, split, mirror, base), part, parts)
    with fetching.progress() as progress:
        found = fetch(files, to, progress)
    fetching.show(found, to)


def _part(text: str) -> tuple[int, int]:
    """Reads which part of how many; raises `ConfigError` for what is none."""
    from distillbench.errors import ConfigError

    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise ConfigError(
            [f"--shards takes a part and how many there are, such as 1/100; found '{text}'"]
        )
    return part, parts


def _opened(
    registry: Registry, choices: Mapping[str, object], settings: Sequence[str] | None
) -> tuple[RunSpec, Splits]:
    """Opens the data set that a command line names."""
    from distillbench.config import grid
    from distillbench.training.build import open_data

    spec = grid.one_spec(registry, grid.layers(registry, None, choices, settings or []))
    return spec, open_data(spec)


@data.callback()
def group(context: typer.Context) -> None:
    """Inspect, split, pack or fetch data before training."""
    if context.invoked_subcommand is None:
        context.get_help()
