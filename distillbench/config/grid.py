"""From the command line to specs: layers of settings, resolved against what is installed."""

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
    path: Path | None,
    choices: Mapping[str, object],
    assignments: Sequence[str],
) -> list[Layer]:
    """Orders the layers: the sweep file first, then the flags, which win."""
    typed = [] if path is None else [read_file(path, registry.sweep_file)]
    return [*typed, flags(choices, assignments)]


def one_spec(registry: Registry, sweep_file: Sequence[Layer]) -> RunSpec:
    """Resolves settings that make one run.

    Raises `ConfigError` where some setting is a list.
    """
    found = specs(sweep_file, registry)
    if len(found) != 1:
        raise ConfigError(
            [f"these settings make {len(found)} runs, and run makes one: leave no setting a list"]
        )
    if found[0].conflicts:
        raise NotApplicableError(found[0].conflicts)
    return found[0]


def all_specs(
    registry: Registry,
    path: Path | None,
    choices: Mapping[str, object],
    assignments: Sequence[str],
    arms: Sequence[str] = (),
) -> list[RunSpec]:
    """Resolves any number of grids to their runs, each once; flags may be lists.

    arms: the arms of a tuning whose runs are wanted; all runs if none is named.

    A run takes one processor thread unless a setting says more: small networks are fastest so,
    and a sweep has other runs for the other cores. Raises `ConfigError` with every problem of every
    grid, and for an arm that no run is of.
    """
    typed = flags(choices, assignments)
    highest = Layer(
        typed.source, {name: axis(name, value) for name, value in typed.settings.items()}
    )
    problems = list[str]()
    sweep_file = (
        SweepFile(Layer("", {}), {}, (Layer("", {}),))
        if path is None
        else read_sweep_file(path, registry.sweep_file)
    )
    usual = defaults(registry, problems)["data"]
    found: dict[str, RunSpec] = {}
    known = dict[str, None]()
    for grid in sweep_file.grids:
        for layers in _for_each_data(sweep_file, grid, highest, usual):
            try:
                made = specs([_SWEEP, *layers], registry)
                known |= {spec.tuned_arm: None for spec in made if spec.tuned_arm}
                found |= {
                    spec.key: spec
                    for spec in made
                    if spec.key not in found and (not arms or spec.tuned_arm in arms)
                }
            except ConfigError as error:
                problems += error.problems
    if not problems:
        listed = ", ".join(f"'{name}'" for name in known) or "none: no tuning chose their settings"
        problems = [f"no run is of arm '{a}'; arms are {listed}" for a in arms if a not in known]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return list(found.values())


_SWEEP = Layer("sweep", {"training.threads": 1})


def _for_each_data(
    sweep_file: SweepFile, grid: Layer, highest: Layer, usual: object
) -> list[list[Layer]]:
    """Orders a grid's layers once for each data set that it names.

    The settings that the file has for one data set alone go to that data set's layers.
    """
    merged = dict(sweep_file.shared.settings) | dict(grid.settings) | dict(highest.settings)
    named = merged.get("data", usual)
    names = named if isinstance(named, list) else [named]
    shared, own = (Layer(layer.source, _with_axes(layer)) for layer in (sweep_file.shared, grid))
    layers = []
    for name in names:
        when = sweep_file.when.get(str(name))
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
    """Reads a flag's text as one value or as a list.

    `6,10,15`, `0:5` (0 up to 4), and `;` where values hold commas.
    """
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
