"""`distillbench run`: answer one question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import PLACE, Again, Device, Observe, Results, Retrain, Said, SignalsBudget, asks


@asks
def run(
    said: Said,
    results: Results = Path("results"),
    device: Device = "auto",
    retrain: Retrain = False,
    again: Again = False,
    observe: Observe = None,
    signals_budget: SignalsBudget = "20GB",
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and stop.", rich_help_panel=PLACE)] = False,
) -> None:
    """Train and evaluate one student, and put its row on the leaderboard.

    Under torchrun (torchrun --nproc-per-node 2 -m distillbench run ...) several processes make the run together.
    """
    from distillbench.cli import choices, display
    from distillbench.cli.progress import progress
    from distillbench.cli.sizes import bytes_of
    from distillbench.processes import joined
    from distillbench.registry import discover
    from distillbench.results.answer import Workplace, answer, find_device, rehearse
    from distillbench.results.observing import check_observers

    with joined(find_device(device)) as processes:
        registry = discover()
        budget = bytes_of(signals_budget, "--signals-budget")
        setup = choices.one_setup(registry, choices.layers(registry, said.question, said.choices, said.assignments))
        check_observers(observe or [], registry)
        place = Workplace(
            results, device, retrain, again, observers=tuple(observe or ()), processes=processes, signals_budget=budget
        )
        if not processes.is_writer:
            if not plan:
                answer(setup, replace(place, observers=()), registry)
            return
        display.plan(setup)
        if plan:
            display.advice(rehearse(setup, place))
            return
        with progress() as observer:
            result = answer(setup, place, registry, observer)
        display.result(result)
