"""Prints components and their knobs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from rich.table import Table

from distillbench.cli.render.terminal import console, styled
from distillbench.errors import ConfigError
from distillbench.registry.discovery import Component, Registry
from distillbench.registry.kinds import KINDS
from distillbench.registry.knobs import Knob, knobs_of, nearest


def all_components(registry: Registry) -> None:
    """Prints a table of every component, and the failures below it."""
    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("kind", "name", "what it is", "distribution"):
        table.add_column(title, overflow="fold")
    for kind in KINDS:
        for number, component in enumerate(c for c in registry if c.kind == kind):
            table.add_row(
                "" if number else kind, component.name, component.summary, _origin(component)
            )
    for number, plugin in enumerate(registry.observers().values()):
        origin = f"{plugin.distribution} {plugin.version}"
        table.add_row("" if number else "observer", plugin.name, plugin.summary, origin)
    out.print(table)
    if registry.failures:
        out.print("\nnot usable", style="bold red")
    for failure in registry.failures:
        origin = f"{failure.distribution} {failure.version}"
        out.print(f"  {failure.plugin} ({origin}): {failure.reason}", soft_wrap=True)


def of_kind(registry: Registry, kind: str) -> None:
    """Prints the name, the first line and the distribution of every component of a kind."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in (kind, "what it is", "distribution"):
        table.add_column(title, overflow="fold")
    for component in (c for c in registry if c.kind == kind):
        table.add_row(component.name, component.summary, _origin(component))
    console().print(table)


def one_component(registry: Registry, name: str) -> None:
    """Prints the documentation and knobs of every component of that name; raises `ConfigError` where there is none."""
    found = [component for component in registry if component.name == name]
    observer = registry.observers().get(name)
    if observer is not None:
        origin = f"{observer.distribution} {observer.version}"
        console().print(styled("[bold]{}[/], observer, from {}", name, origin))
        console().print(inspect.getdoc(observer.module) or "")
    elif not found:
        names = dict.fromkeys(component.name for component in registry)
        broken = [
            f" (the plugin '{f.plugin}' of {f.distribution} failed: {f.reason})"
            for f in registry.failures
            if f.concerns(name)
        ]
        raise ConfigError(
            [
                f"no component is called '{name}'{nearest(name, names)}; distillbench plugins lists them all"
                + "".join(broken)
            ]
        )
    for cls in dict.fromkeys(component.cls for component in found):
        same = [component for component in found if component.cls is cls]
        with same[0].guarded():
            knobs = knobs_of(cls)
        _describe(same, knobs)


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


def _origin(component: Component) -> str:
    return f"{component.distribution} {component.version}"
