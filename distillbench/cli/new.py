"""`distillbench new`: begin a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help="data, encoder, head, selector, learned-selector, exit-policy, label-loss, matching-loss, schedule, "
            "preset, executor, exporter or observer.",
            metavar="KIND",
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its name, such as my-selector.", metavar="NAME")],
    to: Annotated[Path, typer.Option(help="The folder that the project is made in.")] = Path("."),
) -> None:
    """Write a project for a new plugin, ready to install, that keeps the promises of its kind."""
    from distillbench.cli.render.terminal import echo
    from distillbench.registry.discovery import discover
    from distillbench.scaffold import write_project

    registry = discover()
    project = write_project(
        kind, name, to, {component.name for component in registry} | set(registry.observers())
    )
    echo(f"{project.folder} is ready. Next:")
    echo(f"  pip install --editable '{project.folder}[test]'")
    echo(f"  distillbench check --from {name}")
    echo(f"  {project.try_it}")
