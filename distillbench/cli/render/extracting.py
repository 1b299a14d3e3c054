"""Shows how far an extraction is, and what became of it."""

from __future__ import annotations

import torch
from rich.progress import Progress, TextColumn

from distillbench.cli.render.display import bar_columns, notes
from distillbench.cli.render.terminal import complain, echo
from distillbench.errors import Interrupted
from distillbench.video.extract import Outcome, Request


def make(request: Request, workers: int, device: torch.device) -> bool:
    """Extracts with a bar of progress; tells whether some files cannot be used, which are listed.

    The bar goes by the sizes of the files.
    """
    unusable: list[Outcome] = []
    frames = 0
    with Progress(
        *bar_columns(TextColumn("{task.percentage:>3.0f}%")),
        console=notes,
    ) as bars:
        total = sum(source.size for source in request.waiting)
        task, done = bars.add_task(_counted(0, len(request.waiting)), total=total), 0

        def watch(outcome: Outcome) -> None:
            nonlocal done, frames
            done += 1
            frames += outcome.spent.encoded if outcome.spent else 0
            if outcome.problem:
                unusable.append(outcome)
            bars.update(
                task,
                advance=outcome.source.size,
                description=_counted(done, len(request.waiting)),
            )

        try:
            counts = request.make(workers, device, watch)
        except KeyboardInterrupt as stopped:
            raise Interrupted("stopped; the same command goes on with the next video") from stopped
    _conclude(request, counts["made"], frames, unusable)
    return bool(unusable)


def _counted(done: int, of: int) -> str:
    return f"video {done:,} of {of:,}"


def _conclude(request: Request, made: int, frames: int, unusable: list[Outcome]) -> None:
    before = f"; {len(request.made):,} were there" if request.made else ""
    echo(f"features of {made:,} videos, {frames:,} frames, made in {request.folder}{before}")
    if unusable:
        complain(f"{len(unusable):,} cannot be used:")
        for outcome in sorted(unusable, key=lambda each: each.source.id):
            complain(f"  - {outcome.source.path}: {outcome.problem}")
