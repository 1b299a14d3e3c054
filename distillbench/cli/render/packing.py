"""Shows how far packing is, and what was packed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn

from distillbench.cli.render.display import bar_columns, notes
from distillbench.cli.render.terminal import echo
from distillbench.data import Packed, PackProgress


@contextmanager
def progress() -> Iterator[PackProgress]:
    """Shows a bar for each pass over the videos, with the time left."""
    tasks: dict[str, TaskID] = {}
    with Progress(
        *bar_columns(MofNCompleteColumn(), TextColumn("videos")),
        console=notes,
    ) as bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield report


def show(packed: Packed, folder: Path) -> None:
    """Prints how many videos were packed, how large they are, and what became of their numbers."""
    about, error = packed.description, packed.error
    counts = ", ".join(f"{count:,} {split}" for split, count in packed.videos.items())
    shards = f"{packed.shards:,} shard{'s' if packed.shards != 1 else ''}"
    echo(f"{counts} videos in {folder}: {shards}, {packed.size:,} bytes")
    for reason, count in packed.skipped.items():
        echo(f"left out {count:,}: {reason}")
    lists = ", ".join(f"{name} {width:,}" for name, width in about.features.items())
    steps = f" in steps of {about.scale:.3g} from {about.offset:.3g}"
    echo(f"frames: {lists}, {about.dtype}{steps if about.dtype == 'uint8' else ''}")
    if error.largest:
        share = f", {error.rms / error.own_rms:.2g} of the numbers' own" if error.own_rms else ""
        echo(f"error: {error.largest:.3g} at most, {error.rms:.3g} rms{share}")
    else:
        echo("error: none, every number is what it was")
