"""`distillbench run`: answer one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillbench.cli.options import (
    PLACE,
    Again,
    Device,
    Observe,
    Results,
    Retrain,
    Said,
    SignalsBudget,
    asks,
)


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
    from distillbench import api
    from distillbench.cli import display
    from distillbench.cli.progress import progress
    from distillbench.cli.sizes import bytes_of
    from distillbench.processes import joined
    from distillbench.results.answer import find_device

    with joined(find_device(device)) as processes:
        request = api.request_run(
            said.question,
            settings=said.settings,
            results=results,
            device=device,
            retrain=retrain,
            again=again,
            observe=observe or (),
            signals_budget=bytes_of(signals_budget, "--signals-budget"),
            processes=processes,
        )
        if not processes.is_writer:
            if not plan:
                request.make()
            return
        display.plan(request.setup)
        if plan:
            display.advice(request.rehearse())
            return
        with progress(request.metrics) as observer:
            made = request.make(observer)
        display.result(made.stored)
