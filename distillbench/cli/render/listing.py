"""Prints the installed components and their knobs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from rich.table import Table

from distillbench.cli.render.terminal import console, styled
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Component, Failure, Plugin, Registry
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import Knob, knobs_of, nearest


def all_components(registry: Registry) -> None:
    """Prints a table of every component, and below it the plugins that cannot be used."""
    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("kind", "name", "what it is", "distribution"):
        table.add_column(title, overflow="fold")  # rich would cut long cells by default
    for kind in KINDS:
        _add_rows(table, kind, [component for component in registry if component.kind == kind])
    _add_rows(table, "observer", list(registry.observers().values()))
    out.print(table)
    if registry.failures:
        out.print("\nnot usable", style="bold red")
    for failure in registry.failures:
        out.print(f"  {failure.plugin} ({_origin(failure)}): {failure.reason}", soft_wrap=True)


def _add_rows(table: Table, kind: str, listed: Sequence[Component | Plugin]) -> None:
    """Adds one row for each component or observer; only the first row names the kind."""
    for number, each in enumerate(listed):
        table.add_row("" if number else kind, each.name, each.summary, _origin(each))


def of_kind(registry: Registry, kind: str) -> None:
    """Prints the name, the summary and the distribution of every component of a kind."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in (kind, "what it is", "distribution"):
        table.add_column(title, overflow="fold")
    for component in (c for c in registry if c.kind == kind):
        table.add_row(component.name, component.summary, _origin(component))
    console().print(table)


def one_component(registry: Registry, name: str) -> None:
    """Prints the documentation and knobs of every component of a name.

    Raises `ConfigError` if no component has that name.
    """
    found = [component for component in registry if component.name == name]
    observer = registry.observers().get(name)
    if observer is not None:
        console().print(styled("[bold]{}[/], observer, from {}", name, _origin(observer)))
        console().print(inspect.getdoc(observer.module) or "")
    elif not found:
        raise ConfigError([_not_found(registry, name)])
    # A class that is offered as several kinds, such as teacher and student, is described once.
    for cls in dict.fromkeys(component.cls for component in found):
        same = [component for component in found if component.cls is cls]
        with same[0].guarded():
            knobs = knobs_of(cls)
        _describe(same, knobs)


def _not_found(registry: Registry, name: str) -> str:
    names = dict.fromkeys(component.name for component in registry)
    broken = "".join(
        f" (the plugin '{failure.plugin}' of {failure.distribution} failed: {failure.reason})"
        for failure in registry.failures
        if failure.concerns(name)
    )
    suggestion = nearest(name, names)
    return (
        f"no component is called '{name}'{suggestion}; distillbench plugins lists all names{broken}"
    )


def _describe(components: list[Component], knobs: Sequence[Knob]) -> None:
    out, first = console(), components[0]
    kinds = " and ".join(component.kind for component in components)
    out.print(styled("[bold]{}[/], {}, from {}", first.name, kinds, _origin(first)))
    documentation = (inspect.getdoc(first.cls) or "").partition("\nKnobs:")[0]
    out.print(documentation.strip())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("knob", "type", "default", "what it does"):
        table.add_column(title, overflow="fold")
    for knob in knobs:
        table.add_row(knob.name, knob.type_name, repr(knob.default), knob.summary)
    out.print(table if table.row_count else "no knobs")
    out.print()


def _origin(source: Component | Plugin | Failure) -> str:
    return f"{source.distribution} {source.version}"
