"""`distillbench run`: trains and evaluates one student."""

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
    Observe,
    Results,
    Retrain,
    RunOptions,
    takes_run_options,
)


@takes_run_options
def run(
    options: RunOptions,
    results: Results = Path("results"),
    device: Device = "auto",
    retrain: Retrain = False,
    again: Again = False,
    observe: Observe = None,
    cache_dir: CacheDir = "",
    cache_budget: CacheBudget = "20GB",
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the plan and stop.", rich_help_panel=EXECUTION)
    ] = False,
) -> None:
    """Train and evaluate one student, and store its result for the leaderboard.

    A run may use several processes: torchrun --nproc-per-node 2 -m distillbench run ...
    """
    from distillbench import api
    from distillbench.cli.render import display
    from distillbench.cli.render.progress import progress
    from distillbench.cli.render.sizes import bytes_of
    from distillbench.distributed.processes import joined
    from distillbench.experiments.context import find_device

    with joined(find_device(device)) as processes:
        request = api.request_run(
            options.file,
            settings=options.settings,
            results=results,
            device=device,
            retrain=retrain,
            again=again,
            observe=observe or (),
            cache_dir=cache_dir,
            cache_budget=bytes_of(cache_budget, "--cache-budget"),
            processes=processes,
        )
        # All processes train, and only the main one prints.
        if not processes.is_main:
            if not plan:
                request.make()
            return
        display.plan(request.spec)
        if plan:
            display.advice(request.dry_run())
            return
        with progress(request.metrics) as observer:
            finished = request.make(observer)
        display.result(finished.stored)
