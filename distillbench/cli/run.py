"""`distillbench run`: answer one question."""

from __future__ import annotations

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
    """Train and evaluate one student, and put its row on the leaderboard."""
    from distillbench.cli import choices, display
    from distillbench.cli.progress import progress
    from distillbench.cli.sizes import bytes_of
    from distillbench.registry import discover
    from distillbench.results.answer import Workplace, answer
    from distillbench.results.observing import check_observers

    budget = bytes_of(signals_budget, "--signals-budget")
    setup = choices.one_setup(choices.layers(said.question, said.choices, said.assignments))
    check_observers(observe or [], discover())
    display.plan(setup)
    if plan:
        return
    place = Workplace(results, device, retrain, again, observers=tuple(observe or ()), signals_budget=budget)
    with progress() as observer:
        result = answer(setup, place, observer)
    display.result(result)
