"""`distillbench sweep`: trains and evaluates every student of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import (
    EXECUTION,
    Again,
    CacheBudget,
    CacheDir,
    Device,
    Executor,
    Observe,
    Results,
    Retrain,
    RunOptions,
    Workers,
    takes_run_options,
)


@takes_run_options
def sweep(
    options: RunOptions,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="Make only the runs of this arm of a tuning. May be repeated.",
            metavar="NAME",
            rich_help_panel=EXECUTION,
        ),
    ] = None,
    results: Results = Path("results"),
    executor: Executor = None,
    workers: Workers = None,
    device: Device = "auto",
    retrain: Retrain = False,
    again: Again = False,
    observe: Observe = None,
    cache_dir: CacheDir = "",
    cache_budget: CacheBudget = "20GB",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan and its estimated cost, and stop.",
            rich_help_panel=EXECUTION,
        ),
    ] = False,
) -> None:
    """Train and evaluate every student of a grid of settings.

    On the command line, give several values as in --k 6,10,15 --selector NAME,NAME
    --seed 0:5 (0 to 4); --loss and --set take ; between values. In a file, write lists such as
    k = [6, 10], or several [[grid]] tables.

    Runs that are stored already are skipped, so the same command continues a stopped sweep.
    Sweeps of one folder that go on at the same time share its work.
    """
    from distillbench import api
    from distillbench.cli.render import watching
    from distillbench.cli.render.sizes import bytes_of

    request = api.request_sweep(
        options.file,
        settings=options.settings,
        arms=arm or (),
        results=results,
        executor=executor,
        workers=workers,
        device=device,
        retrain=retrain,
        again=again,
        observe=observe or (),
        cache_dir=cache_dir,
        cache_budget=bytes_of(cache_budget, "--cache-budget"),
    )
    watching.plan(request.plan, request.executor.free)
    if dry_run or not request.plan.jobs:
        return
    with watching.live(request.plan, results, request.metrics) as watcher:
        request.make(watcher)
    if watcher.failures:
        raise typer.Exit(1)
