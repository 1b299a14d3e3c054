"""The options that describe a run, declared once for every command that takes them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

import typer

_COMPONENTS = "Components"
_TRAINING = "Training"
EXECUTION = "Execution"

P = ParamSpec("P")


@dataclass(frozen=True)
class RunOptions:
    """The options of one command line that describe a run.

    file: the TOML file with settings, or the name of an installed sweep file.
    choices: the values of options by the name of their setting; None where one is not given.
    assignments: the arguments of `--set`, as text.
    """

    file: Path | None
    choices: Mapping[str, object]
    assignments: Sequence[str]

    @property
    def settings(self) -> Mapping[str, object]:
        """The settings given by options, by name.

        Raises `ConfigError` for an assignment that is not valid.
        """
        from distillbench.config.layers import flags

        return flags(self.choices, self.assignments).settings


# Values stay text here: only the configuration knows the types of knobs, and in a sweep any value
# may be a list.
def _declared(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="TOML file of settings, or (sweep) the name of a sweep file of a plugin. "
            "Options override it."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Data set.", rich_help_panel=_COMPONENTS),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder of the data set's shards, by path or by URL (its knob dir).",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Encoder of the teacher.", rich_help_panel=_COMPONENTS)
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="Encoder of the student.", rich_help_panel=_COMPONENTS)
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="Head, which turns encodings into logits.", rich_help_panel=_COMPONENTS),
    ] = None,
    selector: Annotated[
        str | None,
        typer.Option(help="Selector of the student's frames.", rich_help_panel=_COMPONENTS),
    ] = None,
    train_selector: Annotated[
        str | None,
        typer.Option(
            help="Selector of the student's frames in training.",
            show_default="the same as --selector",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    teacher_selector: Annotated[
        str | None,
        typer.Option(help="Selector of the teacher's frames.", rich_help_panel=_COMPONENTS),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--k", "-k", help="Number of frames the student sees.", rich_help_panel=_COMPONENTS
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Losses of the student with optional weights, such as NAME:0.1,NAME.",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Training schedule: which networks learn when, and from whom.",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    exit_policy: Annotated[
        str | None,
        typer.Option(
            help="Rule by which an encoder with exits stops early.", rich_help_panel=_COMPONENTS
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Named set of settings; other settings override it.",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any knob: SECTION.KNOB=VALUE, such as student.cell_size=256. May be repeated.",
            rich_help_panel=_COMPONENTS,
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Seed of every random draw.", rich_help_panel=_TRAINING)
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(help="Epochs per phase of the schedule.", rich_help_panel=_TRAINING),
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Videos per training step.", rich_help_panel=_TRAINING)
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(help="Learning rate of Adam.", rich_help_panel=_TRAINING)
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Arithmetic precision: auto, fp32 or bf16.", rich_help_panel=_TRAINING),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            help="CPU threads of a run, shared by its processes; 0 is one per core.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    skip_bad_records: Annotated[
        bool,
        typer.Option(
            "--skip-bad-records",
            help="Skip damaged records, and report how many there are.",
            rich_help_panel=EXECUTION,
        ),
    ] = False,
) -> RunOptions:
    choices = {
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
    }
    return RunOptions(file, choices, settings or [])


def takes_run_options(command: Callable[Concatenate[RunOptions, P], None]) -> Callable[..., None]:
    """Replaces the first parameter of a command, its `RunOptions`, by the options that fill it."""
    declared = inspect.signature(_declared, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def with_options(**given: object) -> None:
        shared = {name: given.pop(name) for name in declared}
        command(_declared(**shared), **given)  # type: ignore[arg-type, call-arg]

    # Typer reads the signature for the order of options and the annotations for their types.
    parameters = [*declared.values(), *own]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


Results = Annotated[
    Path, typer.Option(help="Folder where results are stored.", rich_help_panel=EXECUTION)
]
Executor = Annotated[
    str | None,
    typer.Option(
        help="Executor that makes the runs; its knobs are set by --set executor.KNOB=VALUE.",
        show_default="processes on this machine",
        rich_help_panel=EXECUTION,
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        help="Number of worker processes, or auto for one per core; "
        "short for --set executor.workers=N.",
        rich_help_panel=EXECUTION,
    ),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.", rich_help_panel=EXECUTION)]
Retrain = Annotated[
    bool,
    typer.Option(
        "--retrain",
        help="Train the teacher again, even if one is stored.",
        rich_help_panel=EXECUTION,
    ),
]
CacheDir = Annotated[
    str,
    typer.Option(
        help="Folder where blocks of shards by URL are cached.",
        metavar="FOLDER",
        show_default="blocks in the cache of distillbench",
        rich_help_panel=EXECUTION,
    ),
]
CacheBudget = Annotated[
    str,
    typer.Option(
        help="Disk space of each cache, such as 500MB or 0: outputs of a trained teacher, and "
        "blocks of shards by URL. Outputs of training videos that do not fit are computed again "
        "at every step, and blocks are requested again.",
        rich_help_panel=EXECUTION,
    ),
]
Observe = Annotated[
    list[str] | None,
    typer.Option(
        help="Observer to notify during the run. May be repeated.",
        envvar="DISTILLBENCH_OBSERVE",
        rich_help_panel=EXECUTION,
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Run again, even if the result is stored.", rich_help_panel=EXECUTION
    ),
]
