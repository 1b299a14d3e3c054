"""Prints the verdicts of the contract checks, one line per promise."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from distillbench.cli.render.terminal import console, styled
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Component, Failure, Plugin, Registry
from distillbench.registry.knobs import knobs_of, nearest
from distillbench.testing.runner import Verdict, subjects, verdicts_of
from distillbench.testing.suite import same_distribution

_MARKS = {
    "kept": Text("✓", "green"),
    "broken": Text("✗", "bold red"),
    "not claimed": Text("-", "dim"),
    "not checked": Text("?", "yellow"),
}


def select(
    registry: Registry, name: str | None, distribution: str | None
) -> tuple[list[Component], list[Failure]]:
    """Selects components and failures by name and by distribution; None selects all.

    Raises `ConfigError` if nothing installed matches.
    """

    def from_distribution(installed: Component | Failure | Plugin) -> bool:
        return distribution is None or same_distribution(installed.distribution, distribution)

    components = [
        component
        for component in registry
        if (name is None or component.name == name) and from_distribution(component)
    ]
    failures = [
        failure
        for failure in registry.failures
        if (name is None or failure.concerns(name)) and from_distribution(failure)
    ]
    # A plugin of observers or sweep files has no component to check, but its name is valid.
    plugins = [
        plugin
        for plugin in registry.plugins
        if plugin.name == name or (distribution is not None and from_distribution(plugin))
    ]
    if not components and not failures and not plugins:
        raise ConfigError([_nothing_found(registry, name, distribution)])
    return components, failures


def _nothing_found(registry: Registry, name: str | None, distribution: str | None) -> str:
    names = {component.name for component in registry}
    distributions = {plugin.distribution for plugin in registry.plugins}
    if distribution is not None and not any(
        same_distribution(installed, distribution) for installed in distributions
    ):
        suggestion = nearest(distribution, distributions)
        known = ", ".join(sorted(distributions))
        return (
            f"no plugin comes from a distribution '{distribution}'{suggestion}; there are: {known}"
        )
    source = f" of {distribution}" if distribution else ""
    suggestion = nearest(str(name), names)
    return (
        f"no component{source} is called '{name}'{suggestion}; distillbench plugins lists all names"
    )


def check_data_dir(components: Sequence[Component], folder: str) -> None:
    """Raises `ConfigError` unless the folder exists and exactly one data set can read it.

    components: those that were selected.
    folder: the value of `--data-dir`.
    """
    datasets = [component for component in components if component.kind == "data"]
    if not datasets:
        found = ", ".join(f"{component.kind} {component.name}" for component in components)
        raise ConfigError([f"--data-dir needs a data set; found: {found or 'no component'}"])
    if len(datasets) > 1:
        names = ", ".join(component.name for component in datasets)
        raise ConfigError([f"--data-dir needs one data set; name one of: {names}"])
    if all(knob.name != "dir" for knob in knobs_of(datasets[0].cls)):
        name = datasets[0].name
        raise ConfigError([f"the data set '{name}' has no knob 'dir'; leave out --data-dir"])
    if not Path(folder).is_dir():
        raise ConfigError([f"--data-dir: there is no folder '{folder}'"])


def report(
    components: Sequence[Component],
    failures: Sequence[Failure],
    data_dir: str | None = None,
    jobs: int = 1,
) -> bool:
    """Checks components, and prints the verdict on every promise of each component.

    components: those to check.
    failures: plugins that could not be loaded, which are printed too.
    data_dir: the folder to check a data set with.
    jobs: how many components are checked at once.

    Returns True if no promise is broken and every plugin was loaded.
    """
    began, out = time.perf_counter(), console()
    counts = {"kept": 0, "broken": 0, "not claimed": 0, "not checked": 0}
    for subject, found in verdicts_of(subjects(components, data_dir), jobs):
        component = subject.component
        origin = f"{component.distribution} {component.version}"
        out.print(styled("[bold]{} {}[/] ({})", component.kind, component.name, origin))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        for verdict in found:
            counts[verdict.status] += 1
            table.add_row("", _MARKS[verdict.status], verdict.check.name, _text(verdict))
        out.print(table)
    for failure in failures:
        origin = f"{failure.distribution} {failure.version}"
        line = Text(f" {failure.plugin} ({origin}): {failure.reason}")
        out.print(_MARKS["broken"] + line, soft_wrap=True)
    seconds = time.perf_counter() - began
    out.print(_summary(len(components), counts, len(failures)) + f" ({seconds:.0f} s)")
    return not counts["broken"] and not failures


def _summary(components: int, counts: Mapping[str, int], failures: int) -> str:
    text = f"{components} component{'s' if components != 1 else ''}: "
    text += f"{counts['kept']} promises kept, {counts['broken']} broken"
    text += f", {counts['not claimed']} not claimed"
    if counts["not checked"]:
        text += f", {counts['not checked']} not checked"
    if failures:
        text += f", {failures} plugins cannot be used"
    return text


def _text(verdict: Verdict) -> Text:
    promise = verdict.check.promise
    if verdict.status == "broken":
        return styled("{}\n[red]received: {}[/]", promise, verdict.received)
    if verdict.status == "not checked":
        return styled("{}\n[yellow]not checked: {}[/]", promise, verdict.received)
    if verdict.received:
        return styled("{} [dim]({})[/]", promise, verdict.received)
    return Text(promise)
