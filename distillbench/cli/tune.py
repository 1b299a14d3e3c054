"""`distillbench tune`: chooses settings of methods by trials on validation videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import (
    EXECUTION,
    CacheBudget,
    CacheDir,
    Device,
    Executor,
    RunOptions,
    Workers,
    takes_run_options,
)

_SEARCH = "Search"


@takes_run_options
def tune(
    options: RunOptions,
    tried: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            help="A setting and what may be tried of it: 'training.learning_rate=0.001..0.03 log',"
            " 'student.layers=1..3 whole' or head.dropout=0.2,0.5. May be repeated.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Trials of each arm.", show_default="8", rich_help_panel=_SEARCH
        ),
    ] = None,
    at_once: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Trials of an arm that are proposed together; the number changes what is"
            " proposed, the number of workers does not.",
            rich_help_panel=_SEARCH,
        ),
    ] = 2,
    stop_early: Annotated[
        bool,
        typer.Option(
            help="Stop a trial that is behind the median of its arm's earlier trials.",
            rich_help_panel=_SEARCH,
        ),
    ] = True,
    tuner: Annotated[
        str | None,
        typer.Option(
            help="Tuner that proposes trials; its knobs are set by --set tuner.KNOB=VALUE.",
            show_default="the first that is installed",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Sweep file to write, with the best settings of each arm.")
    ] = Path("tuned.toml"),
    seeds: Annotated[
        str, typer.Option(help="Seeds of that sweep file.", rich_help_panel=_SEARCH)
    ] = "0:3",
    results: Annotated[
        Path, typer.Option(help="Folder where trials are stored.", rich_help_panel=EXECUTION)
    ] = Path("results/trials"),
    executor: Executor = None,
    workers: Workers = None,
    device: Device = "auto",
    cache_dir: CacheDir = "",
    cache_budget: CacheBudget = "20GB",
) -> None:
    """Choose the settings of methods by trials on validation videos, with equal effort for each.

    A file may name several arms, [[arm]] tables with a name, settings and perhaps a space of their
    own, [arm.try], beside the space of all, [try]. Every arm has the same number of trials.

    Trials that are stored already are not made again, so the same command continues a stopped
    search.
    """
    from distillbench import api
    from distillbench.cli.render import tuning, watching
    from distillbench.cli.render.sizes import bytes_of
    from distillbench.cli.render.terminal import echo

    request = api.request_tune(
        options.file,
        settings=options.settings,
        tried=tried or (),
        trials=trials,
        at_once=at_once,
        stop_early=stop_early,
        tuner=tuner,
        results=results,
        device=device,
        executor=executor,
        workers=workers,
        cache_dir=cache_dir,
        cache_budget=bytes_of(cache_budget, "--cache-budget"),
    )
    searched = request.make(watching.Trials(request.metrics))
    tuning.write(out, request.search, seeds)
    echo(tuning.render(searched, request.search, out), end="")
