"""`distillbench new`: writes the project of a new plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help="What it is: data, encoder, head, selector, learned-selector, exit-policy, "
            "label-loss, matching-loss, schedule, preset, executor, exporter, report, metric or "
            "observer.",
            metavar="KIND",
        ),
    ],
    name: Annotated[
        str, typer.Argument(help="Name of the plugin, such as my-selector.", metavar="NAME")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write the project to.")] = Path("."),
) -> None:
    """Create the project of a new plugin, which can be installed and passes distillbench check."""
    from distillbench.cli.render.terminal import echo
    from distillbench.registry.discovery import discover
    from distillbench.scaffold import write_project

    registry = discover()
    installed = {component.name for component in registry} | set(registry.observers())
    project = write_project(kind, name, to, installed)
    echo(f"{project.folder} is ready. Next:")
    echo(f"  pip install --editable '{project.folder}[test]'")
    echo(f"  distillbench check --from {name}")
    echo(f"  {project.try_it}")
