"""`distillbench sweep`: answer every question of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import (
    PLACE,
    Again,
    CacheBudget,
    Device,
    Observe,
    Results,
    Retrain,
    RunOptions,
    takes_run_options,
)


@takes_run_options
def sweep(
    said: RunOptions,
    results: Results = Path("results"),
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where runs are made, if not in processes of this machine; its knobs: --set executor.KNOB=VALUE.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Short for --set executor.workers=N: processes, or auto, one a core.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    device: Device = "auto",
    retrain: Retrain = False,
    again: Again = False,
    observe: Observe = None,
    cache_budget: CacheBudget = "20GB",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the plan and its cost and stop.", rich_help_panel=PLACE
        ),
    ] = False,
) -> None:
    """Train and evaluate every student of a grid: settings may be lists.

    Flags: --k 6,10,15 --selector uniform,random --seed 0:5; --loss and --set take ; between values. A file: k = [6, 10],
    and several [[grid]] tables. The same command goes on after a stop and skips what is stored.
    """
    from distillbench import api
    from distillbench.cli.render import watching
    from distillbench.cli.render.sizes import bytes_of

    request = api.request_sweep(
        said.question,
        settings=said.settings,
        results=results,
        executor=executor,
        workers=workers,
        device=device,
        retrain=retrain,
        again=again,
        observe=observe or (),
        cache_budget=bytes_of(cache_budget, "--cache-budget"),
    )
    watching.plan(request.plan, request.executor.free)
    if dry_run or not request.plan.jobs:
        return
    with watching.live(request.plan, results, request.metrics) as watcher:
        request.make(watcher)
    if watcher.failures:
        raise typer.Exit(1)
