"""`distillbench run`: answer one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_COMPONENT = "Choices"
_TRAINING = "Training"
_PLACE = "Where and how"


def run(
    question: Annotated[
        Path | None, typer.Argument(help="A TOML file with the same choices; flags override it.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set.", rich_help_panel=_COMPONENT)] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Folder of the data set's shards.", rich_help_panel=_COMPONENT)
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="Teacher encoder.", rich_help_panel=_COMPONENT)] = None,
    student: Annotated[str | None, typer.Option(help="Student encoder.", rich_help_panel=_COMPONENT)] = None,
    head: Annotated[str | None, typer.Option(help="Output layer.", rich_help_panel=_COMPONENT)] = None,
    selector: Annotated[
        str | None, typer.Option(help="Frame selector of the student.", rich_help_panel=_COMPONENT)
    ] = None,
    train_selector: Annotated[
        str | None, typer.Option(help="Another selector for training alone.", rich_help_panel=_COMPONENT)
    ] = None,
    teacher_selector: Annotated[
        str | None, typer.Option(help="Frame selector of the teacher.", rich_help_panel=_COMPONENT)
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", "-k", help="Frames the student sees.", rich_help_panel=_COMPONENT)
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="Losses and weights, such as rep:0.1,ce,pred.", rich_help_panel=_COMPONENT)
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="Training schedule.", rich_help_panel=_COMPONENT)] = None,
    preset: Annotated[
        str | None, typer.Option(help="Many settings at once: paper, released-code.", rich_help_panel=_COMPONENT)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any knob: SECTION.KNOB=VALUE, such as student.cell_size=256.", rich_help_panel=_COMPONENT
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything drawn.", rich_help_panel=_TRAINING)] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs a phase.", rich_help_panel=_TRAINING)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Videos a step.", rich_help_panel=_TRAINING)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Adam's learning rate.", rich_help_panel=_TRAINING)
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.", rich_help_panel=_TRAINING)] = None,
    threads: Annotated[
        int | None, typer.Option(help="Processor threads; 0: one a core.", rich_help_panel=_TRAINING)
    ] = None,
    skip_bad_records: Annotated[
        bool,
        typer.Option("--skip-bad-records", help="Leave out, count and report damaged records.", rich_help_panel=_PLACE),
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of results.", rich_help_panel=_PLACE)] = Path("results"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_PLACE)] = "auto",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the teacher again.", rich_help_panel=_PLACE)
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Run what was answered before again.", rich_help_panel=_PLACE)
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and stop.", rich_help_panel=_PLACE)] = False,
) -> None:
    """Train and evaluate one student, and put its row on the leaderboard."""
    from distillbench.cli import choices, display
    from distillbench.results.answer import Workplace, answer

    asked = choices.layers(
        question,
        {
            "data": data,
            "data.dir": data_dir,
            "teacher": teacher,
            "student": student,
            "head": head,
            "selector": selector,
            "train_selector": train_selector,
            "teacher_selector": teacher_selector,
            "k": k,
            "loss": loss,
            "schedule": schedule,
            "preset": preset,
            "seed": seed,
            "training.epochs": epochs,
            "training.batch_size": batch_size,
            "training.learning_rate": learning_rate,
            "training.precision": precision,
            "training.threads": threads,
            "data.skip_bad_records": True if skip_bad_records else None,
        },
        settings or [],
    )
    setup = choices.one_setup(asked)
    display.plan(setup)
    if plan:
        return
    with display.progress() as observer:
        result = answer(setup, Workplace(results, device, retrain, again), observer)
    display.result(result)
