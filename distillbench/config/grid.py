"""From what was typed to setups: the layers of a question, resolved against what is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from distillbench.config.layers import Layer, SweepFile, flags, read_file, read_sweep_file
from distillbench.config.resolve import MOST_RUNS, defaults, specs
from distillbench.config.run_spec import RunSpec
from distillbench.errors import ConfigError, NotApplicableError
from distillbench.registry.discovery import Registry


def layers(
    registry: Registry,
    question: Path | None,
    choices: Mapping[str, object],
    assignments: Sequence[str],
) -> list[Layer]:
    """Orders what was said: the question file first, then the flags, which win."""
    said = [] if question is None else [read_file(question, registry.question)]
    return [*said, flags(choices, assignments)]


def one_spec(registry: Registry, asked: Sequence[Layer]) -> RunSpec:
    """Resolves a question that has one answer; raises `ConfigError` where some setting is a list."""
    found = specs(asked, registry)
    if len(found) != 1:
        raise ConfigError(
            [f"this question has {len(found)} runs, and run answers one: leave no setting a list"]
        )
    if found[0].conflicts:
        raise NotApplicableError(found[0].conflicts)
    return found[0]


def all_specs(
    registry: Registry,
    question: Path | None,
    choices: Mapping[str, object],
    assignments: Sequence[str],
) -> list[RunSpec]:
    """Resolves a question of any number of grids to its runs, each once; flags may be lists.

    A run takes one processor thread where nothing says otherwise: small networks are fastest so, and a sweep has other
    runs for the other cores. Raises `ConfigError` with every problem of every grid.
    """
    said = flags(choices, assignments)
    highest = Layer(said.source, {name: axis(name, value) for name, value in said.settings.items()})
    problems = list[str]()
    asked = (
        SweepFile(Layer("", {}), {}, (Layer("", {}),))
        if question is None
        else read_sweep_file(question, registry.question)
    )
    usual = defaults(registry, problems)["data"]
    found: dict[str, RunSpec] = {}
    for grid in asked.grids:
        for layers in _for_each_data(asked, grid, highest, usual):
            try:
                found |= {
                    spec.key: spec
                    for spec in specs([_SWEEP, *layers], registry)
                    if spec.key not in found
                }
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return list(found.values())


_SWEEP = Layer("sweep", {"training.threads": 1})


def _for_each_data(
    asked: SweepFile, grid: Layer, highest: Layer, usual: object
) -> list[list[Layer]]:
    """Orders a grid's layers once for each data set that it names, with what the file says of that data set alone."""
    merged = dict(asked.shared.settings) | dict(grid.settings) | dict(highest.settings)
    named = merged.get("data", usual)
    names = named if isinstance(named, list) else [named]
    shared, own = (Layer(layer.source, _with_axes(layer)) for layer in (asked.shared, grid))
    layers = []
    for name in names:
        when = asked.when.get(str(name))
        between = [] if when is None else [Layer(when.source, _with_axes(when))]
        each = [Layer(shared.source, {"data": name})] if isinstance(named, list) else []
        layers.append([shared, *between, own, highest, *each])
    return layers


def _with_axes(layer: Layer) -> dict[str, object]:
    """Reads `"0:5"` in a file as a flag would be read; any other text of a file is one value."""
    return {
        n: axis(n, v) if isinstance(v, str) and _RANGE.fullmatch(v) else v
        for n, v in layer.settings.items()
    }


_RANGE = re.compile(r"\d+:\d+")


def axis(name: str, value: object) -> object:
    """Reads a flag's text as one value or as a list: `6,10,15`, `0:5` (0 up to 4), and `;` where values hold commas."""
    if not isinstance(value, str):
        return value
    if _RANGE.fullmatch(value):
        first, last = map(int, value.split(":"))
        if last - first > MOST_RUNS:
            raise ConfigError([f"{name} = {value} has more than {MOST_RUNS:,} values"])
        return [str(number) for number in range(first, last)]
    separator = ";" if name == "loss" or ("." in name and not name.startswith("training.")) else ","
    parts = [part.strip() for part in value.split(separator) if part.strip()]
    return parts if len(parts) > 1 else value
