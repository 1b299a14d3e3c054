"""`distillbench demo`: what distillbench does, on built-in data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SWEEP = "demo"


def demo(
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results/demo"),
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Train three networks on built-in data, and print their board and the address of their page.

    A teacher, a student alone, and a student that learns from the teacher: one to two minutes on
    two cores. Given again, it shows what is stored.
    """
    from distillbench import api
    from distillbench.cli.page import page
    from distillbench.cli.render import table, watching
    from distillbench.cli.render.terminal import complain, echo

    request = api.request_sweep(_SWEEP, results=results)
    watching.plan(request.plan, request.executor.free)
    if request.plan.jobs:
        with watching.live(request.plan, results, request.metrics) as watcher:
            request.make(watcher)
        if watcher.failures:
            raise typer.Exit(1)
    table.show(api.leaderboard(results, warn=complain), "table")
    site = results / "site"
    page([results], site, "What distillbench does", open_it)
    echo(f"open {(site / 'index.html').resolve().as_uri()}")
    echo("next: distillbench run --help, distillbench plugins, distillbench page --help")
