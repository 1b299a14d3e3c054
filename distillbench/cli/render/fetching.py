"""Shows how far fetching files is, and what was fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import DownloadColumn, Progress, TaskID, TransferSpeedColumn

from distillbench.cli.render.display import bar_columns, notes
from distillbench.cli.render.terminal import echo
from distillbench.data.remote.download import Fetched, FetchProgress


@contextmanager
def progress() -> Iterator[FetchProgress]:
    """Shows a bar for what is checked and one for what is fetched, with the time left."""
    tasks: dict[str, TaskID] = {}
    with Progress(*bar_columns(DownloadColumn(), TransferSpeedColumn()), console=notes) as bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


def show(found: Fetched, folder: Path) -> None:
    """Prints how many files there are, how many were there, and how many were checked."""
    before = f", {found.there:,} of them from before" if found.there else ""
    echo(f"{found.files:,} file{'' if found.files == 1 else 's'} in {folder}{before}")
    echo(f"{found.size:,} bytes fetched; {found.checked:,} files checked by their MD5")
