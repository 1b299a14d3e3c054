"""The flags that say what is asked, declared once for every command that asks it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

import typer

_COMPONENT = "Choices"
_TRAINING = "Training"
PLACE = "Where and how"

P = ParamSpec("P")


@dataclass(frozen=True)
class RunOptions:
    """What a user said of a question: a file, choices by setting, and `--set` assignments."""

    question: Path | None
    choices: Mapping[str, object]
    assignments: Sequence[str]

    @property
    def settings(self) -> Mapping[str, object]:
        """What was said by flags, by name; raises `ConfigError` for an assignment that is none."""
        from distillbench.config.layers import flags

        return flags(self.choices, self.assignments).settings


def _declared(
    question: Annotated[
        Path | None,
        typer.Argument(
            help="A TOML file with the same choices, or the name of one that a plugin brings (sweep); "
            "flags override it."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set.", rich_help_panel=_COMPONENT)] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(help="Folder of the data set's shards.", rich_help_panel=_COMPONENT),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Teacher encoder.", rich_help_panel=_COMPONENT)
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="Student encoder.", rich_help_panel=_COMPONENT)
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Output layer.", rich_help_panel=_COMPONENT)
    ] = None,
    selector: Annotated[
        str | None, typer.Option(help="Frame selector of the student.", rich_help_panel=_COMPONENT)
    ] = None,
    train_selector: Annotated[
        str | None,
        typer.Option(help="Another selector for training alone.", rich_help_panel=_COMPONENT),
    ] = None,
    teacher_selector: Annotated[
        str | None, typer.Option(help="Frame selector of the teacher.", rich_help_panel=_COMPONENT)
    ] = None,
    k: Annotated[
        str | None,
        typer.Option("--k", "-k", help="Frames the student sees.", rich_help_panel=_COMPONENT),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Losses and weights, such as rep:0.1,ce,pred.", rich_help_panel=_COMPONENT
        ),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Training schedule.", rich_help_panel=_COMPONENT)
    ] = None,
    exit_policy: Annotated[
        str | None,
        typer.Option(help="When an encoder with exits stops early.", rich_help_panel=_COMPONENT),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Many settings at once: paper, released-code.", rich_help_panel=_COMPONENT
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any knob: SECTION.KNOB=VALUE, such as student.cell_size=256.",
            rich_help_panel=_COMPONENT,
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Seed of everything drawn.", rich_help_panel=_TRAINING)
    ] = None,
    epochs: Annotated[
        str | None, typer.Option(help="Epochs a phase.", rich_help_panel=_TRAINING)
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Videos a step.", rich_help_panel=_TRAINING)
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(help="Adam's learning rate.", rich_help_panel=_TRAINING)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32 or bf16.", rich_help_panel=_TRAINING)
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            help="Processor threads of a run, all its processes together; 0: one a core.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    skip_bad_records: Annotated[
        bool,
        typer.Option(
            "--skip-bad-records",
            help="Leave out, count and report damaged records.",
            rich_help_panel=PLACE,
        ),
    ] = False,
) -> RunOptions:
    return RunOptions(
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
            "exit_policy": exit_policy,
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


def takes_run_options(command: Callable[Concatenate[RunOptions, P], None]) -> Callable[..., None]:
    """Gives a command, whose first parameter is what was `Said`, the flags that say it."""
    declared = inspect.signature(_declared, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def with_flags(**given: object) -> None:
        said = _declared(**{name: given.pop(name) for name in declared})  # type: ignore[arg-type]
        command(said, **given)  # type: ignore[arg-type, call-arg]

    parameters = [*declared.values(), *own]
    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_flags


Results = Annotated[Path, typer.Option(help="Folder of results.", rich_help_panel=PLACE)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=PLACE)]
Retrain = Annotated[
    bool, typer.Option("--retrain", help="Train the teacher again.", rich_help_panel=PLACE)
]
CacheBudget = Annotated[
    str,
    typer.Option(
        help="Disk for what a trained teacher says of the training videos, such as 500MB or 0; the rest is asked again "
        "at every step.",
        rich_help_panel=PLACE,
    ),
]
Observe = Annotated[
    list[str] | None,
    typer.Option(
        help="Tell an observer how it goes, such as csv-log.",
        envvar="DISTILLBENCH_OBSERVE",
        rich_help_panel=PLACE,
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Run again what is stored already.", rich_help_panel=PLACE)
]
