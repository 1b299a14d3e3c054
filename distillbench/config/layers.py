"""Settings in the user's words.

Layers of settings by dotted name, from the defaults up to the flags.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distillbench.errors import ConfigError
from distillbench.registry.knobs import nearest
from distillbench.toml_files import flat, read_toml
from distillbench.urls import SECRET, holds_secret

Value = object


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a learner is trained.

    The defaults are the paper's (docs/paper.md, section 3 and rows 15, 17, 18).

    epochs: epochs a phase of the schedule may spend.
    patience: a phase ends once no network that it trains has become better on validation videos for
        so many epochs; 0 spends all of them.
    batch_size: videos a step.
    learning_rate: Adam's.
    decay: the factor on the learning rate every `decay_examples` examples seen, as a staircase; 1
    is none.
    clip: the largest norm of any one tensor's gradient; 0 is none.
    l2: penalty l2 / 2 * ||W||^2 on the head's matrices.
    precision: of the encoder's and head's arithmetic; weights are always fp32. `auto` is fp32 on
        CPUs, and bf16 on GPUs that multiply it in hardware.
    threads: processor threads, shared by the processes of a run; 0 is one for each core. Small
    recurrent networks are fastest on one.
    """

    epochs: int = 5
    patience: int = 0
    batch_size: int = 256
    learning_rate: float = 1e-3
    decay: float = 0.95
    decay_examples: int = 4_000_000
    clip: float = 1.0
    l2: float = 2e-8
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 0

    @property
    def all_threads(self) -> int:
        """How many processor threads a run has, all its processes together."""
        return self.threads or os.cpu_count() or 1


CHOICES: Mapping[str, Value] = {
    "data": None,
    "teacher": None,
    "student": None,
    "head": None,
    "selector": None,
    "train_selector": None,
    "teacher_selector": None,
    "k": 15,
    "loss": None,
    "label_loss": None,
    "exit_policy": None,
    "schedule": None,
    "preset": None,
    "seed": 0,
    "tuned_arm": "",
    "tuned_trials": 0,
    "tuned_space": "",
}
"""Every choice of a run, and its default.

Components are chosen by the preset that is the default.
"""

SECTIONS = (
    "data",
    "teacher",
    "student",
    "head",
    "selector",
    "train_selector",
    "teacher_selector",
    "schedule",
    "exit_policy",
    "loss",
    "training",
)
"""What a dotted name may begin with."""


@dataclass(frozen=True)
class Layer:
    """Settings by name (`k`) or dotted name (`student.cell_size`), and where they come from."""

    source: str
    settings: Mapping[str, Value]


def flags(choices: Mapping[str, Value], assignments: Sequence[str]) -> Layer:
    """Makes the layer of the command line.

    Choices that were given, and `--set NAME=VALUE` assignments.
    """
    settings = {name: value for name, value in choices.items() if value is not None}
    problems = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or "." not in name:
            problems.append(
                "--set takes SECTION.KNOB=VALUE, such as student.cell_size=256; found"
                f" '{assignment}'"
            )
        settings[name.strip()] = value.strip()
    require_no_secret("flag", settings)
    if problems:
        raise ConfigError(problems)
    return Layer("flag", settings)


def require_no_secret(source: str, settings: Mapping[str, Value]) -> None:
    """Raises `ConfigError` for a URL that may hold a secret, without saying the URL.

    Settings are stored with the result, and printed.
    """
    problems = [
        f"{source}: {'a setting' if holds_secret(name) else name}: {SECRET}"
        for name, value in settings.items()
        if holds_secret(value) or holds_secret(name)
    ]
    if problems:
        raise ConfigError(problems)


def section(name: str, assignments: Sequence[str]) -> dict[str, Value]:
    """Reads `--set NAME.KNOB=VALUE` of a command that has one section alone: values by knob.

    Raises `ConfigError`.
    """
    given = flags({}, assignments).settings
    problems = [
        f"--set takes {name}.KNOB=VALUE here; found '{each}'"
        for each in given
        if not each.startswith(f"{name}.")
    ]
    if problems:
        raise ConfigError(problems)
    return {each.removeprefix(f"{name}."): value for each, value in given.items()}


Find = Callable[[str], Path]
"""Finds a sweep file that a plugin brings, by name."""


def read_file(path: Path, find: Find | None = None) -> Layer:
    """Reads settings from a TOML file: choices at the top, knobs in tables under `set`.

    A bare name that is not a file is looked up with `find`.
    """
    content = _parse(path, find)
    if "grid" in content or "when" in content:
        raise ConfigError(
            [
                f"{path}: [[grid]] and [when] make many runs, which distillbench sweep makes; run"
                " takes one"
            ]
        )
    return settings_layer(str(path), content)


@dataclass(frozen=True)
class SweepFile:
    """A file of grids.

    It has settings for all grids, settings for one data set alone, and each grid's own.
    """

    shared: Layer
    when: Mapping[str, Layer]
    grids: tuple[Layer, ...]


def read_sweep_file(path: Path, find: Find | None = None) -> SweepFile:
    """Reads grids of many runs from a TOML file.

    A bare name that is not a file is looked up with `find`.

    What is at the top holds for all; `[when.NAME]` for the data set of that name, and wins over the
    top; each `[[grid]]` is a product of its own and wins over both.
    """
    content = _parse(path, find)
    when, grids = content.pop("when", {}), content.pop("grid", [{}])
    if not isinstance(grids, list) or not all(isinstance(grid, Mapping) for grid in grids):
        raise ConfigError(
            [f"{path}: a grid is a table of its own, [[grid]]; found grid = {grids!r}"]
        )
    if not isinstance(when, Mapping) or not all(
        isinstance(table, Mapping) for table in when.values()
    ):
        raise ConfigError(
            [
                f"{path}: settings for one data set are a table, such as [when.digits]; found when"
                f" = {when!r}"
            ]
        )
    return SweepFile(
        settings_layer(str(path), content),
        {
            str(name): settings_layer(f"{path} [when.{name}]", dict(table))
            for name, table in when.items()
        },
        tuple(settings_layer(str(path), dict(grid)) for grid in grids),
    )


def _parse(path: Path, find: Find | None) -> dict[str, Value]:
    is_name = len(path.parts) == 1 and not path.suffix and not path.is_file()
    file = find(path.name) if find and is_name else path
    return read_toml(file)


def settings_layer(source: str, content: dict[str, Value]) -> Layer:
    """Makes a layer of what a file holds: choices at the top, knobs in tables under `set`."""
    knobs = content.pop("set", {})
    misplaced = [name for name, value in content.items() if isinstance(value, Mapping)]
    if misplaced or not isinstance(knobs, Mapping):
        raise ConfigError(
            [
                f"{source}: knobs go into tables under [set], such as [set.{n}]; found [{n}]"
                for n in misplaced or ["set"]
            ]
        )
    settings = content | dict(flat(knobs))
    require_no_secret(source, settings)
    return Layer(source, settings)


def unknown_names(layer: Layer) -> list[str]:
    """Lists what a layer sets that no run has, each with the nearest name."""
    problems = []
    for name in layer.settings:
        section, dot, _ = name.partition(".")
        if not dot and name not in CHOICES:
            problems.append(
                f"{layer.source}: '{name}' is not a setting{nearest(name, CHOICES)}; there are:"
                f" {', '.join(CHOICES)}"
            )
        elif dot and section not in SECTIONS:
            problems.append(
                f"{layer.source}: '{name}' names no section{nearest(section, SECTIONS)}; there are:"
                f" {', '.join(SECTIONS)}"
            )
    return problems


def parse_objective(text: Value) -> tuple[dict[str, float | None], list[str]]:
    """Reads `NAME:WEIGHT,NAME,...` as losses and weights, and lists the problems.

    The weight is None where none is given.
    """
    weights: dict[str, float | None] = {}
    problems = []
    for term in str(text).split(","):
        name, colon, weight = (part.strip() for part in term.partition(":"))
        if not name:
            problems.append(
                "--loss takes names with optional weights, such as NAME:0.1,NAME; a name is"
                f" missing in '{text}'"
            )
        elif name in weights:
            problems.append(
                f"--loss names '{name}' twice in '{text}'; name it once, with the weight that you"
                " want"
            )
        else:
            weights[name] = None
            if colon:
                weights[name], wrong = parse_weight(name, weight)
                problems += wrong
    return weights, problems


def parse_weight(name: str, text: Value) -> tuple[float, list[str]]:
    """Reads a loss's weight, a finite number of at least 0; 1 where it is none, and the problem."""
    try:
        weight = float(str(text))
    except ValueError:
        return 1.0, [
            f"the weight of the loss '{name}' must be a number, such as {name}:0.1; found '{text}'"
        ]
    if not math.isfinite(weight):
        return 1.0, [f"the weight of the loss '{name}' must be finite; found {text}"]
    if weight < 0:
        return 1.0, [f"the weight of the loss '{name}' must not be negative; found {text}"]
    return weight, []
