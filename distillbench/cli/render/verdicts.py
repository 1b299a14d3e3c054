"""Prints what the contract kit finds, promise by promise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from distillbench.cli.render.terminal import console, styled
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Component, Failure, Registry
from distillbench.registry.knobs import knobs_of, nearest
from distillbench.testing.runner import Verdict, subjects, verdicts
from distillbench.testing.suite import same_distribution

_MARKS = {
    "kept": Text("✓", "green"),
    "broken": Text("✗", "bold red"),
    "not claimed": Text("-", "dim"),
    "not checked": Text("?", "yellow"),
}


def asked_for(
    registry: Registry, name: str | None, distribution: str | None
) -> tuple[list[Component], list[Failure]]:
    """Chooses the components and failures of a name, of a distribution, or all.

    Raises `ConfigError` where nothing installed is called so.
    """
    components = [
        c
        for c in registry
        if (name is None or c.name == name)
        and (distribution is None or same_distribution(c.distribution, distribution))
    ]
    failures = [
        f
        for f in registry.failures
        if (name is None or f.concerns(name))
        and (distribution is None or same_distribution(f.distribution, distribution))
    ]
    plugins = [
        p
        for p in registry.plugins
        if p.name == name
        or (distribution is not None and same_distribution(p.distribution, distribution))
    ]
    if not components and not failures and not plugins:
        raise ConfigError([_nothing(registry, name, distribution)])
    return components, failures


def _nothing(registry: Registry, name: str | None, distribution: str | None) -> str:
    names, owners = {c.name for c in registry}, {p.distribution for p in registry.plugins}
    if distribution is not None and not any(
        same_distribution(owner, distribution) for owner in owners
    ):
        return (
            f"no installed distribution called '{distribution}' offers anything{nearest(distribution, owners)}; "
            f"there are: {', '.join(sorted(owners))}"
        )
    source = f" of {distribution}" if distribution else ""
    return f"no component{source} is called '{name}'{nearest(str(name), names)}; distillbench plugins lists them all"


def check_data_dir(components: Sequence[Component], folder: str) -> None:
    """Raises `ConfigError` where there is no such folder, or nothing chosen that could read it."""
    datasets = [c for c in components if c.kind == "data"]
    without = [c.name for c in datasets if all(knob.name != "dir" for knob in knobs_of(c.cls))]
    if not datasets:
        found = ", ".join(f"{c.kind} {c.name}" for c in components) or "nothing"
        raise ConfigError([f"--data-dir is for a data set; chosen is: {found}"])
    if len(datasets) > 1:
        names = ", ".join(c.name for c in datasets)
        raise ConfigError([f"--data-dir is for one data set; name one of: {names}"])
    if without:
        raise ConfigError(
            [f"the data set '{without[0]}' has no knob 'dir'; it is checked without --data-dir"]
        )
    if not Path(folder).is_dir():
        raise ConfigError([f"--data-dir: there is no folder '{folder}'"])


def report(
    components: Sequence[Component], failures: Sequence[Failure], data_dir: str | None = None
) -> bool:
    """Checks components and prints every promise as it is tested; tells whether none is broken and all was loaded."""
    began, out = time.perf_counter(), console()
    counts = {"kept": 0, "broken": 0, "not claimed": 0, "not checked": 0}
    for subject in subjects(components, data_dir):
        c = subject.component
        out.print(styled("[bold]{} {}[/] ({} {})", c.kind, c.name, c.distribution, c.version))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        for verdict in verdicts(subject):
            counts[verdict.status] += 1
            table.add_row("", _MARKS[verdict.status], verdict.check.name, _told(verdict))
        out.print(table)
    for failure in failures:
        origin = f"{failure.distribution} {failure.version}"
        out.print(
            _MARKS["broken"] + Text(f" {failure.plugin} ({origin}): {failure.reason}"),
            soft_wrap=True,
        )
    unseen = f", {counts['not checked']} not checked" if counts["not checked"] else ""
    loaded = f", {len(failures)} plugins cannot be used" if failures else ""
    out.print(
        f"{len(components)} component{'s' * (len(components) != 1)}: {counts['kept']} promises kept, {counts['broken']} broken, "
        f"{counts['not claimed']} not claimed{unseen}{loaded} ({time.perf_counter() - began:.0f} s)"
    )
    return not counts["broken"] and not failures


def _told(verdict: Verdict) -> Text:
    promise = verdict.check.promise
    if verdict.status == "broken":
        return styled("{}\n[red]received: {}[/]", promise, verdict.received)
    if verdict.status == "not checked":
        return styled("{}\n[yellow]not checked: {}[/]", promise, verdict.received)
    return (
        styled("{} [dim]({})[/]", promise, verdict.received) if verdict.received else Text(promise)
    )
