"""`distillbench sweep`: answer every question of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import PLACE, Again, Device, Observe, Results, Retrain, Said, SignalsBudget, asks


@asks
def sweep(
    said: Said,
    results: Results = Path("results"),
    workers: Annotated[str, typer.Option(help="Processes, or auto: one a core.", rich_help_panel=PLACE)] = "auto",
    device: Device = "auto",
    retrain: Retrain = False,
    again: Again = False,
    observe: Observe = None,
    signals_budget: SignalsBudget = "20GB",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost and stop.", rich_help_panel=PLACE)
    ] = False,
) -> None:
    """Train and evaluate every student of a grid: settings may be lists.

    Flags: --k 6,10,15 --selector uniform,random --seed 0:5; --loss and --set take ; between values. A file: k = [6, 10],
    and several [[grid]] tables. The same command goes on after a stop and skips what is answered.
    """
    from distillbench.cli import choices, watching
    from distillbench.cli.sizes import bytes_of
    from distillbench.registry import discover
    from distillbench.results.answer import Workplace, find_device
    from distillbench.results.observing import check_observers
    from distillbench.results.planning import plan
    from distillbench.results.record import prepare
    from distillbench.results.sweeping import Sweep
    from distillbench.results.workers import fastest_count

    registry = discover()
    budget = bytes_of(signals_budget, "--signals-budget")
    setups = choices.all_setups(registry, said.question, said.choices, said.assignments)
    check_observers(observe or [], registry)
    count = fastest_count(workers, setups, find_device(device).type == "cuda")
    place = Workplace(results, device, retrain, again, observers=tuple(observe or ()), signals_budget=budget)
    planned = plan(setups, place)
    watching.plan(planned, count)
    if dry_run or not planned.jobs:
        return
    prepare(results)
    with watching.live(planned, results) as watcher:
        Sweep(planned, place, count, watcher).run()
    if watcher.failures:
        raise typer.Exit(1)
